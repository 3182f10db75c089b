"""axe-core looks at every page in a real Chromium: wide and narrow, light and dark, English and German."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import RequireService
from tests.end_to_end import accessibility
from tests.end_to_end.local_http import PATIENCE
from tests.end_to_end.page_walk import Walk
from tests.end_to_end.running_server import RunningServer
from tests.end_to_end.test_browser import Callback
from tests.end_to_end.test_browser import callback as callback  # noqa: PLC0414 - a fixture

LOCALES = {"en": "en-GB", "de": "de-AT"}


@pytest.fixture(scope="module", autouse=True)
def _axe(require_service: RequireService) -> None:
    require_service("axe-core (npm)", available=accessibility.install())


@pytest.fixture
def page(chromium: Browser, language: str) -> Iterator[Page]:
    """A browser whose person reads `language`."""
    expect.set_options(timeout=PATIENCE * 1000)
    with chromium.new_context(locale=LOCALES[language]) as context:
        context.set_default_timeout(PATIENCE * 1000)
        yield context.new_page()


@pytest.mark.parametrize("language", LOCALES)
def test_axe_finds_nothing_on_any_page(language: str, page: Page, callback: Callback, server: RunningServer) -> None:
    seen = []

    def look(name: str) -> None:
        seen.append(name)
        assert page.locator("html").get_attribute("lang") == language
        accessibility.look_at_all_sizes(page, f"{language}/{len(seen):02}-{name}")

    Walk(server, page, look, callback.uri).whole()
    assert len(seen) > 25
