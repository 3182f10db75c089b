"""A real Chromium walks the admin pages with JavaScript off, beside the browser of the person whom it is about."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.end_to_end.running_server import PASSWORD, RunningServer
from tests.end_to_end.scripted_client import App
from tests.end_to_end.test_browser import Callback, set_up, take_picture
from tests.end_to_end.test_browser import callback as callback  # noqa: PLC0414 - a fixture
from tests.end_to_end.test_browser_account import connect

NEW = "violet kettles hum at dusk"


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """The administrator's browser, in which JavaScript is off."""
    with chromium.new_context(viewport={"width": 900, "height": 760}, java_script_enabled=False) as context:
        yield context.new_page()


@pytest.fixture
def bobs(chromium: Browser) -> Iterator[Page]:
    """Another person's browser."""
    with chromium.new_context(viewport={"width": 360, "height": 740}, java_script_enabled=False) as context:
        yield context.new_page()


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def audited(server: RunningServer, event: str) -> dict[str, str]:
    """Return the only event of a kind, as the command line has it."""
    place = {"OAUTH_STORAGE_DIR": str(server.data), "MCP_PORT": str(server.port)}
    command = [sys.executable, "-m", "gatepost", "audit", "--json", "--event", event]
    run = subprocess.run(command, env={**os.environ, **place}, check=True, capture_output=True, text=True)
    [line] = run.stdout.splitlines()
    kept: dict[str, str] = json.loads(line)
    return kept


def test_an_administrator_invites_somebody_and_shuts_them_out_and_lets_them_in(
    server: RunningServer, page: Page, bobs: Page
) -> None:
    set_up(page, server, picture="1-set-up")
    page.goto(f"{server.origin}/oauth/account")
    page.get_by_role("link", name="Administration").click()
    expect(page.get_by_role("heading", name="People")).to_be_visible()
    page.get_by_label("Username").fill("bob")
    press(page, "Make an invitation")
    link = page.locator(".address").inner_text()
    take_picture(page, "20-admin-invitation")

    bobs.goto(link)
    for name in ("password", "repeat"):
        bobs.locator(f'input[name="{name}"]').fill(NEW)
    press(bobs, "Create account")
    expect(bobs.get_by_text("You are logged in as bob")).to_be_visible()
    bobs.goto(f"{server.origin}/oauth/admin")
    expect(bobs.get_by_role("heading", name="These pages are for administrators")).to_be_visible()
    take_picture(bobs, "21-admin-refused", full=True)

    page.get_by_role("link", name="Back to the list").click()
    page.get_by_label("Name or identifier").fill("BO")
    press(page, "Search")
    page.get_by_role("link", name="bob").click()
    page.get_by_role("combobox", name="Role").fill("admin")
    press(page, "Give this role")
    bobs.reload()
    expect(bobs.get_by_role("heading", name="People")).to_be_visible()

    press(page, "Disable the account")
    expect(page.get_by_text("This account is disabled since")).to_be_visible()
    take_picture(page, "22-admin-person", full=True)
    bobs.reload()
    expect(bobs.get_by_label("Username")).to_be_visible()
    kept = audited(server, "user_disabled")
    assert kept["actor"].startswith("user_")
    assert kept["actor"] != kept["subject"]

    press(page, "Enable the account")
    bobs.get_by_label("Username").fill("bob")
    bobs.get_by_label("Password").fill(NEW)
    press(bobs, "Log in")
    expect(bobs.get_by_role("heading", name="People")).to_be_visible()


def test_an_administrator_ends_what_was_allowed_to_an_app(
    server: RunningServer, page: Page, callback: Callback
) -> None:
    set_up(page, server, picture="1-set-up")
    app, token = connect(page, server, callback, "Reading list")
    assert app.call(token, "add", {"text": "x"}).status_code == 200
    page.goto(f"{server.origin}/oauth/admin/clients")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Log in")
    page.get_by_role("link", name="Apps").click()
    page.get_by_role("link", name="Reading list").click()
    page.get_by_role("link", name="Grants").last.click()
    press(page, "Revoke what ada allowed to Reading list")
    expect(page.get_by_text("There are none.")).to_be_visible()
    assert app.call(token, "add", {"text": "x"}).status_code == 401
    page.get_by_role("link", name="Audit trail").first.click()
    expect(page.get_by_text("operator_revoked")).to_be_visible()
    take_picture(page, "23-admin-audit", full=True)


def test_an_api_key_of_an_administrator_counts_until_it_is_revoked(
    server: RunningServer, page: Page, callback: Callback
) -> None:
    set_up(page, server, picture="1-set-up")
    page.goto(f"{server.origin}/oauth/admin/api-keys")
    page.get_by_label("Name", exact=True).fill("nightly")
    page.get_by_label("Scopes").fill("notes:write")
    page.get_by_label("Stands for").select_option("you")
    press(page, "Make the key")
    key = page.locator(".address").inner_text()
    take_picture(page, "24-admin-api-key", full=True)
    script = App(server.origin, redirect_uri=callback.uri, name="not registered")
    assert script.call(key, "add", {"text": "x"}).status_code == 200

    page.reload()
    expect(page.get_by_role("heading", name="This secret was shown already")).to_be_visible()
    page.goto(f"{server.origin}/oauth/admin/api-keys")
    expect(page.get_by_text("Stands for ada")).to_be_visible()
    take_picture(page, "25-admin-api-keys", full=True)
    press(page, "Revoke the key nightly")

    expect(page.get_by_text("There are none.")).to_be_visible()
    assert script.call(key, "add", {"text": "x"}).status_code == 401
    assert audited(server, "api_key_revoked")["actor"] == audited(server, "api_key_created")["subject"]
