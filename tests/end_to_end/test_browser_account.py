"""A real Chromium walks the account page with JavaScript off, and leaves pictures."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.end_to_end.running_server import PASSWORD, RunningServer
from tests.end_to_end.scripted_client import App
from tests.end_to_end.test_browser import Callback, open_and_log_in, set_up, take_picture
from tests.end_to_end.test_browser import callback as callback  # noqa: PLC0414 - a fixture
from tests.end_to_end.test_browser import page as page  # noqa: PLC0414 - likewise; it fails when the browser complains

NEW = "violet kettles hum at dusk"


@pytest.fixture
def plain(chromium: Browser) -> Iterator[Page]:
    """Another browser, in which JavaScript is off."""
    with chromium.new_context(viewport={"width": 900, "height": 760}, java_script_enabled=False) as context:
        yield context.new_page()


def connect(page: Page, server: RunningServer, callback: Callback, name: str) -> tuple[App, str]:
    """Let an app in; return it with its access token. The answer to an app on loopback ends the session."""
    app = App(server.origin, redirect_uri=callback.uri, name=name).register()
    page.goto(app.authorization_url())
    if page.get_by_label("Username").is_visible():
        open_and_log_in(page, page.url)
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(callback.uri + "**")
    token: str = app.redeem(app.code_from(page.url)).json()["access_token"]
    return app, token


def test_a_person_sees_what_they_allowed_and_takes_it_back(
    server: RunningServer, page: Page, plain: Page, callback: Callback
) -> None:
    set_up(page, server, picture="1-set-up")
    apps = [connect(page, server, callback, name) for name in ("Reading list", "Notes helper")]
    open_and_log_in(plain, f"{server.origin}/oauth/login")
    open_and_log_in(page, f"{server.origin}/oauth/login")

    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    expect(page.get_by_text("Read your notes").first).to_be_visible()
    for width, scheme in ((900, "light"), (360, "dark")):
        page.set_viewport_size({"width": width, "height": 760})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        take_picture(page, f"12-account-{width}-{scheme}", full=True)

    # By keyboard alone.
    page.get_by_role("button", name="Disconnect Reading list").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Reading list")).to_have_count(0)
    (reading, old), (helper, kept) = apps
    assert (
        reading.call(old, "add", {"text": "x"}).status_code,
        helper.call(kept, "add", {"text": "x"}).status_code,
    ) == (
        401,
        200,
    )

    page.get_by_role("button", name="Log out there").click()
    expect(page.get_by_text("Another browser")).to_have_count(0)
    plain.goto(f"{server.origin}/oauth/account")
    expect(plain.get_by_label("Username")).to_be_visible()


def test_without_javascript_a_password_is_changed_and_the_browser_logged_out(
    server: RunningServer, page: Page, plain: Page
) -> None:
    set_up(page, server, picture="1-set-up")
    expect(page.get_by_text(server.mcp_url, exact=True)).to_be_visible()
    open_and_log_in(plain, f"{server.origin}/oauth/login")
    plain.get_by_role("link", name="Change password").click()
    for name, typed in (("old", "not the password at all"), ("password", NEW), ("repeat", NEW)):
        plain.locator(f'input[name="{name}"]').fill(typed)
    plain.get_by_role("button", name="Change password").click()
    expect(plain.get_by_role("alert")).to_have_text("That is not your password.")
    take_picture(plain, "13-password-refused", full=True)
    for name, typed in (("old", PASSWORD), ("password", NEW), ("repeat", NEW)):
        plain.locator(f'input[name="{name}"]').fill(typed)
    plain.get_by_role("button", name="Change password").click()
    expect(plain.get_by_role("heading", name="Your password is changed")).to_be_visible()
    take_picture(plain, "14-password-changed")
    page.goto(f"{server.origin}/oauth/account")
    expect(page.get_by_label("Username")).to_be_visible()

    plain.get_by_role("link", name="Your account").click()
    plain.get_by_role("button", name="Log out").first.click()
    expect(plain.get_by_role("heading", name="You are logged out")).to_be_visible()
    take_picture(plain, "15-logged-out")
    plain.get_by_role("link", name="Log in again").click()
    expect(plain.get_by_label("Username")).to_be_visible()


def test_an_invited_person_makes_an_account_with_the_link_that_the_terminal_prints(
    server: RunningServer, page: Page
) -> None:
    place = {"OAUTH_STORAGE_DIR": str(server.data), "MCP_PORT": str(server.port)}
    command = [sys.executable, "-m", "gatepost", "users", "invite", "--name", "bob"]
    link = subprocess.run(command, env={**os.environ, **place}, check=True, capture_output=True, text=True).stdout
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(link.strip())
    expect(page.get_by_role("heading", name="Create your account")).to_be_visible()
    take_picture(page, "16-invitation", full=True)
    for name in ("password", "repeat"):
        page.locator(f'input[name="{name}"]').fill(NEW)
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_text("You are logged in as bob")).to_be_visible()
    page.goto(link.strip())
    expect(page.get_by_role("heading", name="This link does not work any more")).to_be_visible()
