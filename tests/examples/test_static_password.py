"""The example with one password: by code and by the environment alone, and nobody without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from examples.static_password import counts, server
from gatepost import StaticPasswordProvider
from gatepost.testing import RunningServer, UnexpectedPage
from tests.testing.notes_server import text_of
from tests.testing.test_browser import authorization_url

PASSWORD = "a few words in no order"


@pytest.mark.parametrize(
    "options",
    [{"provider": StaticPasswordProvider(PASSWORD)}, {"settings": {"ADMIN_PASSWORD": PASSWORD}}],
    ids=["code", "environment"],
)
async def test_the_owner_logs_in_with_the_password_and_counts(options: dict[str, Any]) -> None:
    counts.clear()
    async with RunningServer(server, **options) as running:
        url = await authorization_url(running)
        browser = await running.browser(typed={"password": "a few words in one order"})
        with pytest.raises(UnexpectedPage, match="did not match"):
            await browser.approve(url)
        browser.typed["password"] = PASSWORD
        assert "code=" in await browser.approve(url)

        async with running.client() as owner:
            assert text_of(await owner.call_tool("whoami")) == "owner (operator)"
            counted = [text_of(await owner.call_tool("count", {"what": "sheep"})) for _ in range(2)]
    assert (counted, [*counts]) == (["1", "2"], ["owner: sheep"])


def test_it_is_as_short_as_it_says() -> None:
    assert len(Path("examples/static_password.py").read_text().splitlines()) <= 40
