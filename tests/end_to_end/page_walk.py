"""A walk past every page of a server with local accounts, in whatever language, with JavaScript or without.

It knows fields, buttons and links by their names in the form, never by their words.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from playwright.sync_api import BrowserContext, Page

from tests.end_to_end.running_server import PASSWORD, RunningServer
from tests.end_to_end.scripted_client import App, DeviceApp, Person
from tests.identity.one_time_app import App as OneTimeApp

NEW: Final = "violet kettles hum at dusk"
LATEST: Final = "seven quiet herons wade upstream"


@dataclass(frozen=True, slots=True)
class Walk:
    """One person's way through one server."""

    server: RunningServer
    page: Page
    look: Callable[[str], None]
    """Called at each page with a name for it."""
    callback: str
    """The redirect URI of an app on this computer, which answers."""

    def whole(self) -> None:
        """Walk past everything."""
        self.before_there_is_an_account()
        self.set_up()
        self.connect_apps()
        self.account()
        self.administration()
        self.second_step()
        self.links()
        self.refusals()
        self.log_out()
        self.devices()
        self.required_second_step()

    def before_there_is_an_account(self) -> None:
        """Open the server, and connect an app too early."""
        self.visit("/", "landing")
        app = App(self.server.origin, redirect_uri=self.callback, name="Reading list").register()
        self.visit(app.authorization_url(), "setup-needed")

    def set_up(self) -> None:
        """Make the first account, at the second try."""
        assert self.server.setup_link is not None
        self.visit(self.server.setup_link, "setup")
        self.submit(username="ada", password=PASSWORD, repeat="something else entirely")
        self.look("setup-problem")
        self.submit(password=PASSWORD, repeat=PASSWORD)
        self.look("setup-done")

    def connect_apps(self) -> None:
        """Log in for an app, at the second try; allow one, deny one, and look at how apps of each kind are shown."""
        self.context.clear_cookies()
        app = App(self.server.origin, redirect_uri=self.callback, name="Reading list").register()
        self.visit(app.authorization_url(), "login")
        self.submit(username="ada", password="not the password at all")
        self.look("login-problem")
        self.submit(password=PASSWORD)
        self.look("consent-on-this-computer")
        self.answer("approve")
        assert app.redeem(app.code_from(self.page.url)).status_code == 200

        self.log_in()
        web = App(self.server.origin, redirect_uri="https://claude.example.com/callback", name="Claude").register()
        self.visit(web.authorization_url(), "consent")
        self.visit(
            App(self.server.origin, redirect_uri="com.example.app:/back", name="").register().authorization_url()
        )
        self.look("consent-app-on-this-device")
        self.visit(web.authorization_url())
        self.page.locator("input[type=checkbox]").last.uncheck()
        self.look("consent-to-less")

        other = App(self.server.origin, redirect_uri=self.callback, name="Notes helper").register()
        self.visit(other.authorization_url())
        self.answer("deny")
        assert "error=access_denied" in self.page.url

    def account(self) -> None:
        """Look at the account, and change the password, at the second try."""
        person = Person(self.server.origin, "ada")
        other = App(self.server.origin, redirect_uri="https://claude.example.com/callback", name="Claude").register()
        assert other.redeem(other.code_from(person.decide(other.authorization_url()))).status_code == 200
        self.log_in()
        self.visit("/oauth/account", "account")
        self.visit("/oauth/account/passkeys", "passkeys")
        self.visit("/oauth/account/confirm?for=passkeys", "confirm")
        self.visit("/oauth/account/password", "password")
        self.submit(old="not the password at all", password=NEW, repeat=NEW)
        self.look("password-problem")
        self.submit(old=PASSWORD, password=NEW, repeat=NEW)
        self.look("password-done")

    def second_step(self) -> None:
        """Set the second step up, log in with it, and look at it."""
        self.visit("/oauth/account/second-step", "second-step-setup")
        app = OneTimeApp(self.page.locator(".address code").inner_text())
        self.submit(code=app.code(int(time.time())), password=NEW)
        self.look("recovery-codes")
        self.visit("/oauth/account/second-step", "second-step-on")
        self.context.clear_cookies()
        self.visit("/oauth/login")
        self.submit(username="ada", password=NEW)
        self.look("second-step")
        self.submit(code="000000")
        self.look("second-step-problem")
        self.context.clear_cookies()
        self.command("users", "second-step", "ada", "off")

    def administration(self) -> None:
        """Look at the admin pages, which the first account may use, and do what shows something."""
        self.visit("/oauth/admin", "admin-people")
        self.submit(username="a name with spaces")
        self.look("admin-name-problem")
        self.submit(username="carla")
        self.look("admin-link")
        self.page.reload()
        self.look("admin-link-over")
        self.visit("/oauth/admin/people")
        self.page.locator(".entries a").first.click()
        self.look("admin-person")
        self.submit(role="No role")
        self.look("admin-role-problem")
        person = self.page.locator('input[name="subject"]').first.input_value()
        self.visit("/oauth/admin/clients", "admin-clients")
        self.page.locator(".entries a").first.click()
        self.look("admin-client")
        self.visit("/oauth/admin/new-client", "admin-new-client")
        self.submit(name="Nightly report")
        self.look("admin-new-client-problem")
        self.page.locator('input[name="machine"]').check()
        self.submit(name="Nightly report")
        self.look("admin-client-secret")
        self.page.locator("main .aside a").click()
        self.look("admin-client-with-secret")
        self.visit("/oauth/admin/api-keys", "admin-api-keys")
        self.submit(name="nightly", scopes="none such")
        self.look("admin-api-key-problem")
        hint = self.page.locator("#scopes-hint code").first.inner_text()
        self.submit(name="nightly", scopes=hint.split()[0])
        self.look("admin-api-key")
        self.page.reload()
        self.look("admin-secret-over")
        self.visit("/oauth/admin/api-keys", "admin-api-keys-listed")
        self.visit("/oauth/admin/upstream", "admin-upstream")
        self.visit("/oauth/admin/grants", "admin-grants")
        self.visit(f"/oauth/admin/grants?subject={person}", "admin-grants-of-one")
        self.visit("/oauth/admin/audit", "admin-audit")
        self.visit("/oauth/admin/audit?since=yesterday", "admin-audit-problem")
        self.visit("/oauth/admin/keys", "admin-keys")
        self.visit("/oauth/admin/person?subject=nobody", "admin-unknown")

    def links(self) -> None:
        """Open links that the operator's commands print."""
        self.visit(self.command("users", "invite", "--name", "bob"), "invitation")
        reset = self.command("users", "reset", "ada")
        self.visit(reset, "reset")
        self.submit(password=LATEST, repeat=LATEST)
        self.look("reset-done")
        self.visit(reset, "link-over")

    def refusals(self) -> None:
        """Come from where there is no way on."""
        self.visit("/oauth/authorize?client_id=nobody", "app-not-known")
        self.visit("/oauth/authorize", "link-broken")
        self.visit("/oauth/consent?transaction=nobody", "request-over")
        self.visit("/oauth/account/link/nobody", "no-such-page")
        self.visit("/oauth/logout", "for-forms")

    def log_out(self) -> None:
        """Log in, and out."""
        self.visit("/oauth/login", "login-alone")
        self.submit(username="ada", password=LATEST)
        self.page.locator("form[action='/oauth/logout'] button").click()
        self.look("logged-out")

    def required_second_step(self) -> None:
        """Look at what a server over the same store shows that demands a second step."""
        with self.server.beside(OAUTH_REQUIRE_SECOND_STEP="everybody") as demanding:
            here = demanding.origin.replace("127.0.0.1", "localhost")
            self.visit(f"{here}/oauth/login")
            self.submit(username="ada", password=LATEST)
            self.look("required-second-step")
            self.page.locator("a[href='/oauth/account/passkeys']").click()
            self.look("required-passkey")
            self.page.locator("a[href='/oauth/account/second-step']").click()
            app = OneTimeApp(self.page.locator(".address code").inner_text())
            self.submit(code=app.code(int(time.time())))
            self.visit(f"{here}/oauth/account/second-step", "required-second-step-on")

    def devices(self) -> None:
        """Look at what a server over the same store asks about a device."""
        with self.server.beside(OAUTH_DEVICE_LOGIN="everybody") as offering:
            lamp = DeviceApp(offering.origin, name="Reading lamp")
            self.visit(f"{offering.origin}/oauth/device")
            self.submit(username="ada", password=LATEST)
            self.page.wait_for_url("**/oauth/device")
            self.look("device")
            self.submit(user_code="BBBB-BBBB")
            self.look("device-problem")
            self.visit(lamp.begin()["verification_uri_complete"], "device-compare")
            self.page.locator("form button[type=submit]").click()
            self.look("device-consent")
            self.page.locator('button[value="approve"]').click()
            self.look("device-done")
            assert lamp.poll().status_code == 200
            self.visit("/oauth/account")
            self.visit(DeviceApp(offering.origin, name="").begin()["verification_uri_complete"])
            self.page.locator("form button[type=submit]").click()
            self.look("device-consent-without-name")
            self.page.locator('button[value="deny"]').click()
            self.look("device-denied")

    # --- What a person does ---

    @property
    def context(self) -> BrowserContext:
        """The browser that knows this page."""
        return self.page.context

    def visit(self, url: str, name: str | None = None) -> None:
        """Open a page, and look at it."""
        self.page.goto(url if "://" in url else self.server.origin + url)
        if name is not None:
            self.look(name)

    def submit(self, **fields: str) -> None:
        """Fill fields in, and send the form with its first button."""
        for name, typed in fields.items():
            self.page.locator(f'input[name="{name}"]:visible').fill(typed)
        form = self.page.locator("form", has=self.page.locator(f'input[name="{next(iter(fields))}"]:visible'))
        form.locator("button[type=submit]").first.click()

    def answer(self, decision: str) -> None:
        """Approve or deny."""
        self.page.locator(f'button[value="{decision}"]').click()
        self.page.wait_for_url(self.callback + "**")

    def log_in(self) -> None:
        """Log in without an app, where nobody is: the answer to an app on this computer has ended the session."""
        self.visit("/oauth/login")
        if self.page.locator('input[name="username"]:visible').count():
            self.submit(username="ada", password=PASSWORD)

    def command(self, *arguments: str, password: str | None = None) -> str:
        """Run one of the operator's commands beside the server; return what it prints."""
        place = {"OAUTH_STORAGE_DIR": str(self.server.data), "MCP_PORT": str(self.server.port)}
        command = [sys.executable, "-m", "gatepost", *arguments]
        run = subprocess.run(
            command, input=password, env={**os.environ, **place}, check=True, capture_output=True, text=True
        )
        return run.stdout.strip()
