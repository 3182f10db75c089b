"""A real Chromium with a virtual authenticator adds passkeys and logs in by them, and leaves pictures."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.conftest import RequireService
from tests.end_to_end import accessibility
from tests.end_to_end.running_server import PASSWORD, RunningServer
from tests.end_to_end.scripted_client import App
from tests.end_to_end.test_browser import Callback, take_picture
from tests.end_to_end.test_browser import callback as callback  # noqa: PLC0414 - a fixture
from tests.end_to_end.test_browser import page as page  # noqa: PLC0414 - likewise; it fails when the browser complains

WIDTHS = (900, 360)


@pytest.fixture(scope="module", autouse=True)
def _axe(require_service: RequireService) -> None:
    require_service("axe-core (npm)", available=accessibility.install())


class VirtualDevice:
    """What holds passkeys in place of a phone or a laptop, and says yes by itself while it `answers`."""

    def __init__(self, page: Page, *, answers: bool = True, knows_user: bool = True) -> None:
        self._cdp: CDPSession = page.context.new_cdp_session(page)
        self._cdp.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "ctap2Version": "ctap2_1",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": knows_user,
            "automaticPresenceSimulation": answers,
        }
        added = self._cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        self._device = {"authenticatorId": added["authenticatorId"]}

    def passkeys(self) -> list[dict[str, Any]]:
        """Return what it holds."""
        held: list[dict[str, Any]] = self._cdp.send("WebAuthn.getCredentials", self._device)["credentials"]
        return held

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Let it leave the browser waiting, as somebody does who has not decided yet."""
        self._cdp.send("WebAuthn.setAutomaticPresenceSimulation", {**self._device, "enabled": False})
        yield
        self._cdp.send("WebAuthn.setAutomaticPresenceSimulation", {**self._device, "enabled": True})

    def forget_user(self) -> None:
        """Let it fail to recognise its user from now on."""
        self._cdp.send("WebAuthn.setUserVerified", {**self._device, "isUserVerified": False})


def at_localhost(url: str) -> str:
    """Return a URL of the server by its name, since no browser has passkeys for an address."""
    return url.replace("127.0.0.1", "localhost", 1)


def set_up_by_name(page: Page, server: RunningServer) -> str:
    """Make ada's account; return the origin."""
    origin = at_localhost(server.origin)
    assert server.setup_link is not None
    page.goto(at_localhost(server.setup_link))
    page.get_by_label("Username").fill("ada")
    for name in ("password", "repeat"):
        page.locator(f'input[name="{name}"]').fill(PASSWORD)
    page.get_by_role("button").first.click()
    return origin


def add_passkey(page: Page, origin: str, name: str) -> None:
    page.goto(f"{origin}/oauth/account")
    page.get_by_role("link", name="Passkeys").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.locator(".host", has_text=name)).to_be_visible()


def let_login_age(server: RunningServer) -> None:
    """Let every login have been eleven minutes ago."""
    with closing(sqlite3.connect(server.data / "gatepost.db", timeout=30)) as database, database:
        database.execute("UPDATE browser_sessions SET authenticated_at = authenticated_at - 660")


def pictures(page: Page, name: str) -> None:
    """Leave one at each width, in light and dark; nothing is wider than a phone, and axe-core finds nothing."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 760})
        page.emulate_media(color_scheme="light" if width == WIDTHS[0] else "dark")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        take_picture(page, f"{name}-{width}", full=True)
        assert accessibility.objections(page) == []
    page.set_viewport_size({"width": WIDTHS[0], "height": 760})
    page.emulate_media(color_scheme="light")


def test_a_person_adds_a_passkey_logs_in_by_it_for_an_app_renames_and_removes_it(
    server: RunningServer, page: Page, callback: Callback
) -> None:
    origin = set_up_by_name(page, server)
    device = VirtualDevice(page)
    page.goto(f"{origin}/oauth/account/passkeys")
    expect(page.get_by_text("You have no passkey yet.")).to_be_visible()
    pictures(page, "30-no-passkey")
    add_passkey(page, origin, "Laptop")
    (held,) = device.passkeys()
    assert (held["rpId"], held["isResidentCredential"], held["userName"]) == ("localhost", True, "ada")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("alert")).to_have_text("This device has a passkey for your account already.")
    pictures(page, "31-passkeys")

    # In a whole authorization flow, without a user name.
    page.context.clear_cookies()
    app = App(origin, redirect_uri=callback.uri, name="Reading list").register()
    with device.silent():
        page.goto(app.authorization_url())
        button = page.get_by_role("button", name="Log in with a passkey")
        expect(button).to_be_visible()
        pictures(page, "32-login-with-passkeys")
        button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Reading list").first).to_be_visible()
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(callback.uri + "**")
    token = app.redeem(app.code_from(page.url)).json()["access_token"]
    assert app.call(token, "add", {"text": "milk"}).status_code == 200

    # Answering an app on this computer ends the login.
    page.goto(f"{origin}/oauth/login")
    page.wait_for_url(f"{origin}/oauth/account")
    page.get_by_role("link", name="Passkeys").click()
    expect(page.get_by_text("last used on")).to_be_visible()
    page.get_by_text("Rename", exact=True).click()
    page.get_by_label("New name").fill("Old laptop")
    pictures(page, "33-rename")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".host", has_text="Old laptop")).to_be_visible()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("You have no passkey yet.")).to_be_visible()

    # The device offers it still.
    page.context.clear_cookies()
    with device.silent():
        page.goto(f"{origin}/oauth/login")
        expect(page.get_by_role("button", name="Log in with a passkey")).to_be_visible()
    page.get_by_role("button", name="Log in with a passkey").click()
    expect(page.get_by_text("This passkey does not log anybody in here.").first).to_be_visible()
    take_picture(page, "34-passkey-refused", full=True)


def test_the_browser_offers_passkeys_where_it_suggests_names(server: RunningServer, page: Page) -> None:
    origin = set_up_by_name(page, server)
    device = VirtualDevice(page)
    add_passkey(page, origin, "Laptop")
    page.context.clear_cookies()
    with device.silent():
        page.goto(f"{origin}/oauth/login")
        expect(page.get_by_label("Username")).to_have_attribute("autocomplete", "username webauthn")
    # A virtual device that answers chooses from the suggestions by itself.
    page.goto(f"{origin}/oauth/login")
    page.wait_for_url(f"{origin}/oauth/account")
    expect(page.get_by_text("You are logged in as ada")).to_be_visible()


def test_who_does_not_show_who_they_are_is_told_so_and_can_type_the_password(server: RunningServer, page: Page) -> None:
    origin = set_up_by_name(page, server)
    device = VirtualDevice(page)
    add_passkey(page, origin, "Laptop")
    page.context.clear_cookies()
    device.forget_user()
    page.goto(f"{origin}/oauth/login")
    page.get_by_role("button", name="Log in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("No passkey was used.")
    take_picture(page, "35-no-passkey-used", full=True)
    page.get_by_label("Username").fill("ada")
    page.locator('input[name="password"]').fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_text("You are logged in as ada")).to_be_visible()


@pytest.mark.parametrize("by_passkey", [True, False])
def test_some_minutes_after_the_login_a_person_shows_again_who_they_are(
    server: RunningServer, page: Page, by_passkey: bool
) -> None:
    origin = set_up_by_name(page, server)
    VirtualDevice(page)
    add_passkey(page, origin, "Laptop")
    let_login_age(server)
    page.get_by_role("button", name="Add a passkey").click()
    link = page.get_by_role("link", name="Confirm that it is you")
    expect(link).to_be_visible()
    expect(page.get_by_role("button", name="Remove")).to_have_count(0)
    link.click()
    expect(page.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
    if by_passkey:
        pictures(page, "38-confirm")
        page.get_by_role("button", name="Use a passkey").click()
    else:
        page.get_by_label("Your password").fill(PASSWORD)
        page.get_by_role("button", name="Confirm").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("You have no passkey yet.")).to_be_visible()


def test_without_javascript_nothing_is_offered_that_does_not_work(server: RunningServer, page: Page) -> None:
    origin = set_up_by_name(page, server)
    browser = page.context.browser
    assert browser is not None
    with browser.new_context(java_script_enabled=False) as context:
        plain = context.new_page()
        plain.goto(f"{origin}/oauth/login")
        expect(plain.get_by_role("button", name="Log in with a passkey")).to_be_hidden()
        plain.get_by_label("Username").fill("ada")
        plain.locator('input[name="password"]').fill(PASSWORD)
        plain.get_by_role("button", name="Log in", exact=True).click()
        plain.get_by_role("link", name="Passkeys").click()
        expect(plain.get_by_text("For this your browser needs JavaScript")).to_be_visible()
        expect(plain.get_by_role("button", name="Add a passkey")).to_be_hidden()
        take_picture(plain, "36-passkeys-without-javascript", full=True)


def test_by_an_address_the_page_leads_to_the_name(server: RunningServer, page: Page) -> None:
    set_up_by_name(page, server)
    page.goto(f"{server.origin}/oauth/login")
    expect(page.get_by_role("button", name="Log in with a passkey")).to_have_count(0)
    page.get_by_label("Username").fill("ada")
    page.locator('input[name="password"]').fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Passkeys").click()
    take_picture(page, "37-passkeys-by-address", full=True)
    page.get_by_role("link", name="http://localhost").click()
    expect(page.get_by_role("heading", name="Your passkeys")).to_be_visible()
