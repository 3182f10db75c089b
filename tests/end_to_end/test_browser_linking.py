"""A real Chromium links a login elsewhere to an account with a password, comes by it, and unlinks it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.end_to_end.running_server import PASSWORD, RunningServer
from tests.end_to_end.test_browser import elsewhere as elsewhere  # noqa: PLC0414 - a fixture
from tests.end_to_end.test_browser import open_and_log_in, take_picture
from tests.end_to_end.test_browser import page as page  # noqa: PLC0414 - likewise; it fails when the browser complains

LINK = "/oauth/account/link/elsewhere"


@pytest.fixture
def server(tmp_path: Path, elsewhere: str) -> Iterator[RunningServer]:
    """A server with the account of ada, beside a login elsewhere."""
    environment = {"LOGIN_AT": elsewhere, "OAUTH_LOCAL_ACCOUNTS": "true", "OAUTH_ALLOWED_USERS": "*"}
    running = RunningServer("", tmp_path / "data", module="tests.end_to_end.login_server", environment=environment)
    command = [sys.executable, "-m", "gatepost", "users", "add", "ada", "--password-stdin"]
    place = {"OAUTH_STORAGE_DIR": str(running.data)}
    subprocess.run(command, env={**os.environ, **place}, input=PASSWORD, text=True, check=True, capture_output=True)
    with running:
        yield running


def looks_well(page: Page, name: str) -> None:
    """Take pictures of a page on a desktop and a phone, dark and light; nothing sticks out."""
    for width, scheme in ((900, "light"), (360, "dark")):
        page.set_viewport_size({"width": width, "height": 760})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        take_picture(page, f"{name}-{width}-{scheme}", full=True)


def test_a_person_links_a_login_comes_by_it_and_unlinks_it(
    server: RunningServer, page: Page, chromium: Browser
) -> None:
    open_and_log_in(page, f"{server.origin}/oauth/login")
    page.get_by_role("link", name="Link a login at elsewhere").click()
    expect(page.get_by_role("heading", name="Link a login")).to_be_visible()
    looks_well(page, "30-link-login")

    # By keyboard alone, out of our own form to another site and back.
    page.get_by_role("button", name="Link a login at elsewhere").focus()
    page.keyboard.press("Enter")
    page.get_by_text("It is me").click()

    expect(page.get_by_role("heading", name="How you log in")).to_be_visible()
    expect(page.get_by_text("as Ada from elsewhere")).to_be_visible()
    looks_well(page, "31-linked-logins")

    with chromium.new_context(java_script_enabled=False) as other:
        there = other.new_page()
        there.goto(f"{server.origin}/oauth/login")
        there.get_by_role("link", name="Log in with elsewhere").click()
        there.get_by_text("It is me").click()
        expect(there.get_by_text("You are logged in as ada, through elsewhere.")).to_be_visible()

        page.get_by_role("button", name="Unlink Ada from elsewhere at elsewhere").click()
        expect(page.get_by_role("heading", name="Your account")).to_be_visible()
        expect(page.get_by_role("button", name="Unlink")).to_have_count(0)
        there.reload()
        expect(there.get_by_role("heading", name="Log in")).to_be_visible()


def test_without_javascript_an_app_leads_a_person_to_the_link_and_they_are_told_at_the_end(
    server: RunningServer, page: Page, chromium: Browser
) -> None:
    del page  # only for its folder of pictures
    with chromium.new_context(java_script_enabled=False, viewport={"width": 360, "height": 740}) as plain:
        tab = plain.new_page()
        open_and_log_in(tab, server.origin + LINK)
        tab.get_by_role("button", name="Link a login at elsewhere").click()
        tab.get_by_text("It is me").click()
        expect(tab.get_by_role("heading", name="Login linked")).to_be_visible()
        expect(tab.get_by_text("If an app sent you here, go back to it")).to_be_visible()
        take_picture(tab, "32-login-linked", full=True)


def test_a_login_of_somebody_else_is_refused_in_words(server: RunningServer, page: Page, chromium: Browser) -> None:
    with chromium.new_context() as other:
        first = other.new_page()
        first.goto(f"{server.origin}/oauth/login?with=elsewhere")
        first.get_by_text("It is me").click()
        expect(first.get_by_text("through elsewhere")).to_be_visible()
    with chromium.new_context(viewport={"width": 360, "height": 740}) as mine:
        tab = mine.new_page()
        open_and_log_in(tab, server.origin + LINK)
        tab.get_by_role("button", name="Link a login at elsewhere").click()
        tab.get_by_text("It is me").click()
        expect(tab.get_by_role("heading", name="Nothing was linked")).to_be_visible()
        take_picture(tab, "33-link-refused", full=True)
    del page
