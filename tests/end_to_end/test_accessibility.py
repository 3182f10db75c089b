"""axe-core looks at every page in a real Chromium: wide and narrow, light and dark, English and German."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import RequireService
from tests.end_to_end import accessibility
from tests.end_to_end.conftest import TARGET
from tests.end_to_end.local_http import PATIENCE
from tests.end_to_end.page_walk import Walk
from tests.end_to_end.running_server import PASSWORD, RunningServer
from tests.end_to_end.scripted_client import App, Person
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


@pytest.mark.parametrize("language", LOCALES)
def test_axe_finds_nothing_on_the_pages_of_further_logins(
    language: str, page: Page, callback: Callback, tmp_path: Path
) -> None:
    elsewhere = {
        "OAUTH_UPSTREAM_COMPANY_ISSUER": "http://127.0.0.1:9",  # where nobody answers
        "OAUTH_UPSTREAM_COMPANY_CLIENT_ID": "gatepost",
        "OAUTH_UPSTREAM_COMPANY_CLIENT_SECRET": "of a test",
        "OAUTH_ALLOWED_USERS": "*",
        "OAUTH_LOCAL_ACCOUNTS": "true",
    }
    with RunningServer(TARGET, tmp_path / "data", environment=elsewhere) as server:

        def look(name: str) -> None:
            accessibility.look_at_all_sizes(page, f"{language}/further-{name}")

        walk = Walk(server, page, look, callback.uri)
        walk.command("users", "add", "ada", "--password-stdin", password=PASSWORD)
        # By its name: browsers keep passkeys for no address.
        origin = f"http://localhost:{server.port}"
        walk.visit(f"{origin}/oauth/login", "login")
        walk.visit(f"{origin}/oauth/login?with=company", "login-unavailable")
        walk.visit(f"{origin}/oauth/login")
        walk.submit(username="ada", password=PASSWORD)
        walk.visit(f"{origin}/oauth/account", "account")
        walk.visit(f"{origin}/oauth/account/passkeys", "passkeys")
        walk.visit(f"{origin}/oauth/account")
        page.locator("a[href*='company']").first.click()
        look("link-a-login")


FOCUSED = """() => {
    const focused = document.activeElement, outline = getComputedStyle(focused);
    const name = focused.name || focused.getAttribute('href') || focused.tagName;
    const isVisible = outline.outlineStyle !== 'none' && parseFloat(outline.outlineWidth) >= 2;
    return [focused.value && focused.name === 'decision' ? focused.value : name.split('?')[0], isVisible];
}"""


@pytest.mark.parametrize("language", ["en"])
def test_the_keyboard_goes_through_consent_in_the_order_of_reading_and_is_seen(
    language: str, page: Page, server: RunningServer
) -> None:
    person, app = Person(server.origin, "ada"), App(server.origin, redirect_uri="https://claude.example.com/callback")
    assert server.setup_link is not None
    person.set_up(server.setup_link)
    page.goto(app.register().authorization_url())
    page.locator('input[name="username"]').fill("ada")
    page.keyboard.press("Tab")
    page.keyboard.type(person.password)
    page.keyboard.press("Enter")
    expect(page.locator("button[value=approve]")).to_be_visible()
    assert page.locator("html").get_attribute("lang") == language

    passed = []
    for _ in range(5):
        page.keyboard.press("Tab")
        passed.append(page.evaluate(FOCUSED))
    assert passed == [[name, True] for name in ("scope_0", "scope_1", "/oauth/login", "approve", "deny")]
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    expect(page.locator('input[name="scope_1"]')).not_to_be_checked()
