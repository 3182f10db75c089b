"""The example with one password: by code and by the environment alone, and nobody without it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI

from examples.static_password import counts, server
from gatepost import StaticPasswordProvider, create_app
from tests.seeds.person import person_at

PASSWORD = "a few words in no order"


@pytest.mark.parametrize(
    "make",
    [
        lambda: create_app(server, provider=StaticPasswordProvider(PASSWORD)),
        lambda: create_app(server),
    ],
)
async def test_the_owner_logs_in_with_the_password_and_counts(
    make: Callable[[], FastAPI], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts.clear()
    monkeypatch.setenv("ADMIN_PASSWORD", PASSWORD)
    monkeypatch.setenv("MCP_STORAGE_URL", "memory:")
    async with person_at(make()) as person:
        refused = await person.submit(await person.arrive(), password="a few words in one order")
        assert refused.status_code == 403
        token = await person.allow(await person.submit(refused, password=PASSWORD))
        assert await person.call(token, "whoami") == "owner (operator)"
        assert [await person.call(token, "count", what="sheep") for _ in range(2)] == ["1", "2"]
        assert list(counts) == ["owner: sheep"]


def test_it_is_as_short_as_it_says() -> None:
    assert len(Path("examples/static_password.py").read_text().splitlines()) <= 40
