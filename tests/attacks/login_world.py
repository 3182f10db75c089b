"""The login page with its throttle, a clock that stands still, and browsers at addresses of their own."""

from __future__ import annotations

from dataclasses import dataclass, field

import httpx2

from gatepost.tokens.sealing import KeyRing
from gatepost.web.pages.login_throttle import LoginThrottle
from gatepost.web.site.client_address import ClientAddresses
from gatepost.web.site.limits import Limits
from tests.web.pages.pages_world import ORIGIN, PASSWORD, Form, World, make_world

KEY = "abcdefghijklmnopqrstuvwxyz0123456789-_ABCDEFG"


@dataclass
class LoginWorld:
    """The pages and whoever comes to them."""

    world: World
    browsers: list[httpx2.AsyncClient] = field(default_factory=list)

    def browser(self, address: str) -> httpx2.AsyncClient:
        """Return a new browser at this address."""
        transport = httpx2.ASGITransport(app=self.world.app, client=(address, 50_000))
        browser = httpx2.AsyncClient(transport=transport, base_url=ORIGIN)
        self.browsers.append(browser)
        return browser

    async def attempt(
        self, browser: httpx2.AsyncClient, password: str = "a guess", *, username: str = "ada"
    ) -> httpx2.Response:
        """Type a password into the login page."""
        form = Form((await browser.get("/oauth/login?switch=1")).text)
        fields = {**form.fields, "username": username, "password": password}
        return await browser.post(form.action or "", data=fields)

    async def log_in(self, browser: httpx2.AsyncClient) -> int:
        """Type the right one; return the status."""
        return (await self.attempt(browser, PASSWORD)).status_code


def login_world(*, key: str = KEY) -> LoginWorld:
    """Return the pages, where guesses are counted as on a real server."""

    def throttle(world: World) -> LoginThrottle:
        return LoginThrottle(
            limits=Limits(store=world.store.limits, now=lambda: world.now),
            addresses=ClientAddresses(),
            key_ring=KeyRing([key]),
            now=lambda: world.now,
            random_bytes=world.random_bytes,
            cookie_name="__Host-gatepost-known",
            secure=True,
        )

    return LoginWorld(make_world(throttle=throttle))
