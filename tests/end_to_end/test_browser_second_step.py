"""A real Chromium, with JavaScript off too, sets up a second step, logs in with it and turns it off; with pictures."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from typing import Final

from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.end_to_end.running_server import PASSWORD, RunningServer
from tests.end_to_end.test_browser import open_and_log_in, set_up, take_picture
from tests.end_to_end.test_browser import page as page  # noqa: PLC0414 - a fixture; fails when the browser complains
from tests.end_to_end.test_browser_account import plain as plain  # noqa: PLC0414 - likewise; JavaScript is off
from tests.identity.one_time_app import App

PHONE: Final[ViewportSize] = {"width": 360, "height": 740}


def picture_at_all_widths(page: Page, name: str) -> None:
    """Take a picture wide and light, and one narrow and dark, of a page that fits either."""
    for width, scheme in ((900, "light"), (360, "dark")):
        page.set_viewport_size({"width": width, "height": 760})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        take_picture(page, f"{name}-{width}-{scheme}", full=True)
    page.set_viewport_size({"width": 900, "height": 760})


def type_code(page: Page, code: str, *, button: str) -> None:
    page.get_by_role("textbox", name="Code").fill(code)
    page.get_by_role("button", name=button).click()


def recovery_codes(page: Page) -> list[str]:
    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
    codes = page.locator(".codes code").all_inner_texts()
    picture_at_all_widths(page, "19-recovery-codes")
    page.set_viewport_size(PHONE)
    frame, code = page.locator(".codes").bounding_box(), page.locator(".codes code").first.bounding_box()
    assert frame is not None
    assert code is not None
    assert code["x"] + code["width"] <= frame["x"] + frame["width"]
    assert code["height"] < 30, "one line each"
    page.emulate_media(media="print")
    expect(page.get_by_role("link", name="I kept them")).to_be_hidden()
    take_picture(page, "20-recovery-codes-printed", full=True)
    page.emulate_media(media="screen")
    return codes


def turn_on(page: Page) -> tuple[App, list[str]]:
    """Set the second step up; its code of now is used by that."""
    app = App(page.locator(".address code").inner_text())
    page.get_by_label("Your password").fill(PASSWORD)
    type_code(page, app.code(int(time.time())), button="Turn on")
    return app, recovery_codes(page)


def test_a_person_sets_a_second_step_up_and_logs_in_with_it(server: RunningServer, page: Page, plain: Page) -> None:
    set_up(page, server, picture="1-set-up")
    page.goto(f"{server.origin}/oauth/account")
    page.get_by_role("link", name="Set up a second step").click()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    key = page.locator(".address code").inner_text()
    link = page.get_by_role("link", name="The app is on this device").get_attribute("href") or ""
    assert f"secret={key.replace(' ', '')}" in link
    page.reload()
    assert page.locator(".address code").inner_text() == key
    picture_at_all_widths(page, "17-second-step-offered")
    page.get_by_label("Your password").fill(PASSWORD)
    type_code(page, "000000", button="Turn on")
    expect(page.get_by_role("alert")).to_contain_text("That is not what the app has to show now.")
    expect(page.get_by_role("textbox", name="Code")).to_be_focused()
    take_picture(page, "18-second-step-refused", full=True)

    app, recovery = turn_on(page)
    page.get_by_role("link", name="I kept them").click()
    expect(page.get_by_role("link", name="Second step: on")).to_be_visible()

    # Without JavaScript: a wrong code, then the next one of the app; by keyboard alone.
    open_and_log_in(plain, f"{server.origin}/oauth/login")
    expect(plain.get_by_role("heading", name="Enter your code")).to_be_visible()
    expect(plain.get_by_role("textbox", name="Code")).to_be_focused()
    expect(plain.get_by_role("textbox", name="Code")).to_have_attribute("inputmode", "numeric")
    expect(plain.get_by_role("textbox", name="Code")).to_have_attribute("autocomplete", "one-time-code")
    take_picture(plain, "21-code", full=True)
    plain.set_viewport_size(PHONE)
    take_picture(plain, "21-code-360", full=True)
    type_code(plain, "12345", button="Log in")
    expect(plain.get_by_role("alert")).to_contain_text("That is no code that counts now")
    take_picture(plain, "22-code-refused", full=True)
    plain.keyboard.type(app.code(int(time.time()) + 30))
    plain.keyboard.press("Enter")
    expect(plain.get_by_role("heading", name="Your account")).to_be_visible()
    take_picture(plain, "23-account-with-second-step", full=True)

    # The phone is lost: a recovery code lets in, and another turns it off.
    plain.context.clear_cookies()
    open_and_log_in(plain, f"{server.origin}/oauth/login")
    type_code(plain, recovery[0], button="Log in")
    plain.get_by_role("link", name="Second step: on").click()
    expect(plain.get_by_text("Recovery codes left: 9 of 10.")).to_be_visible()
    plain.set_viewport_size({"width": 900, "height": 760})
    take_picture(plain, "24-second-step-900-light", full=True)
    plain.set_viewport_size(PHONE)
    take_picture(plain, "24-second-step-360-light", full=True)
    plain.get_by_label("Your password").fill(PASSWORD)
    type_code(plain, recovery[1], button="Turn the second step off")
    expect(plain.get_by_role("heading", name="The second step is off")).to_be_visible()
    take_picture(plain, "25-second-step-off")


def test_new_recovery_codes_take_the_place_of_the_old_ones_and_an_operator_helps_who_has_none(
    server: RunningServer, page: Page, chromium: Browser
) -> None:
    set_up(page, server, picture="1-set-up")
    page.goto(f"{server.origin}/oauth/account/second-step")
    _, old = turn_on(page)
    page.goto(f"{server.origin}/oauth/account/second-step")
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("textbox", name="Code").fill(old[0])
    page.keyboard.press("Enter")
    new = recovery_codes(page)
    assert not set(old) & set(new)

    with chromium.new_context(locale="de-DE", viewport=PHONE) as context:
        german = context.new_page()
        german.goto(f"{server.origin}/oauth/login")
        german.locator('input[name="username"]').fill("ada")
        german.locator('input[name="password"]').fill(PASSWORD)
        german.get_by_role("button", name="Anmelden").click()
        german.locator('input[name="code"]').fill(old[1])
        german.get_by_role("button", name="Anmelden").click()
        expect(german.get_by_role("alert")).to_contain_text(re.compile("kein Code, der jetzt gilt"))
        take_picture(german, "26-code-refused-german", full=True)

        place = {"OAUTH_STORAGE_DIR": str(server.data), "MCP_PORT": str(server.port)}
        command = [sys.executable, "-m", "gatepost", "users", "second-step", "ada", "off"]
        subprocess.run(command, env={**os.environ, **place}, check=True, capture_output=True, timeout=60)
        german.goto(f"{server.origin}/oauth/login")
        german.locator('input[name="username"]').fill("ada")
        german.locator('input[name="password"]').fill(PASSWORD)
        german.get_by_role("button", name="Anmelden").click()
        expect(german.get_by_role("heading", name="Ihr Konto")).to_be_visible()
