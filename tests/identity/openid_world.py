"""The pages with an OpenID provider elsewhere, and a browser that goes there and comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from gatepost.identity.openid_connect import OpenIDConnect
from gatepost.identity.provider import Identity, Surroundings
from tests.identity.openid_issuer import CLIENT_ID, SECRET, Network, OpenIDIssuer
from tests.web.pages.pages_world import World, heading, make_world

ISSUER = "https://id.example"
LOGIN = "/oauth/login?transaction=transaction_1"
CONSENT = "/oauth/consent?transaction=transaction_1"


class Seen(OpenIDConnect):
    """Keeps what it says of people."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.people: list[Identity] = []

    async def _identify(self, *arguments: Any) -> Identity:
        self.people.append(await super()._identify(*arguments))
        return self.people[-1]


@dataclass
class Upstream:
    """A browser that wants to log in, this server, and the issuer."""

    world: World
    issuer: OpenIDIssuer
    provider: Seen
    network: Network
    browser: httpx2.AsyncClient

    async def go(self, path: str = LOGIN) -> str:
        """Return where the login page sends the browser."""
        answer = await self.browser.get(path)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def log_in(self, **changes: str) -> httpx2.Response:
        """Go there, log in there, and come back."""
        return await self.browser.get(self.issuer.log_in(await self.go(), **changes))

    def later(self, seconds: int) -> None:
        """Let time pass, here and there."""
        self.world.now += seconds
        self.issuer.clock[0] += seconds


@asynccontextmanager
async def openid_world() -> AsyncIterator[Upstream]:
    """Serve the pages with an OpenID provider elsewhere; a browser has begun an authorization request."""
    provider = Seen(ISSUER, CLIENT_ID, SECRET)
    world = make_world(provider=provider)
    await world.register()
    issuer = OpenIDIssuer(ISSUER, [world.now])
    network = Network(id_example=issuer.app)
    provider.connect(Surroundings(lambda: world.now, world.random_bytes, network))
    browser = world.browser()
    await world.begin(browser)
    yield Upstream(world, issuer, provider, network, browser)
    for opened in world.browsers:
        await opened.aclose()


def is_refused(answer: httpx2.Response) -> bool:
    """Say whether it is the page for who is not let in."""
    return (answer.status_code, heading(answer)) == (403, "You are not logged in")


def is_unavailable(answer: httpx2.Response) -> bool:
    """Say whether it is the page that says so, with a way to try again with the same request."""
    assert answer.status_code == 503, answer.text
    assert f'href="{LOGIN}"' in answer.text
    assert answer.headers["retry-after"] == "5"
    assert "id.example, where you log in, does not answer as it should. Nothing is lost" in answer.text
    return heading(answer) == "You cannot be logged in just now"
