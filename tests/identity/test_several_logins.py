"""Several login providers on one page, with accounts of the server's own beside them or without."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
import pytest

from gatepost.identity.openid_connect import OpenIDConnect
from gatepost.identity.provider import Surroundings
from gatepost.identity.several_logins import SeveralLogins
from tests.identity.openid_issuer import CLIENT_ID, SECRET, Network, OpenIDIssuer
from tests.web.pages.pages_world import PASSWORD, Accounts, Form, World, heading, make_world

LOGIN = "/oauth/login?transaction=transaction_1"
CONSENT = "/oauth/consent?transaction=transaction_1"


class Own(Accounts):
    """Accounts that keep no subjects, as local ones do not."""

    keeps_subjects = False


@dataclass
class Several:
    """Two issuers, `a` and `b`, and a browser that has begun an authorization request."""

    world: World
    issuers: dict[str, OpenIDIssuer]
    browser: httpx2.AsyncClient

    async def go(self, name: str, path: str = LOGIN) -> str:
        """Follow the link of a provider; return where the browser is sent."""
        page = await self.browser.get(path)
        [link] = [href for href in re.findall(r'href="([^"]+)"', page.text) if f"with={name}" in href]
        return (await self.browser.get(link.replace("&amp;", "&"))).headers["location"]

    async def person(self) -> tuple[str, str] | None:
        """Return issuer and subject of who is logged in."""
        user = (await self.world.session(self.browser)).user
        return None if user is None else (user.issuer, user.external_subject)


@asynccontextmanager
async def several(here: Accounts | None = None) -> AsyncIterator[Several]:
    """Serve the pages."""
    names = ("a", "b")
    logins = [OpenIDConnect(f"https://{name}.example", CLIENT_ID, SECRET, name=name) for name in names]
    provider = SeveralLogins(logins, here)
    world = make_world(provider=provider)
    issuers = {name: OpenIDIssuer(f"https://{name}.example", [world.now], name=name) for name in names}
    network = Network(**{f"{name}_example": issuer.app for name, issuer in issuers.items()})
    provider.connect(Surroundings(lambda: world.now, world.random_bytes, network))
    await world.register()
    browser = world.browser()
    await world.begin(browser)
    yield Several(world, issuers, browser)
    for opened in world.browsers:
        await opened.aclose()


async def test_the_page_offers_each_and_no_form_of_its_own() -> None:
    async with several() as world:
        page = await world.browser.get(LOGIN)
        assert heading(page) == "Log in"
        assert re.findall(r"Log in with ([a-z.]+)<", page.text) == ["a.example", "b.example"]
        assert "<form" not in page.text


@pytest.mark.parametrize("name", ["a", "b"])
async def test_who_chooses_one_is_that_one_s_person_and_goes_on(name: str) -> None:
    async with several() as world:
        came_back = await world.browser.get(world.issuers[name].log_in(await world.go(name)))
        assert came_back.headers["location"] == CONSENT
        assert await world.person() == (f"https://{name}.example", "4711")


async def test_the_same_subject_of_two_issuers_is_two_people() -> None:
    async with several() as world:
        subjects = set()
        for name in ("a", "b"):
            await world.browser.get(world.issuers[name].log_in(await world.go(name, "/oauth/login?switch=1")))
            user = (await world.world.session(world.browser)).user
            assert user is not None
            subjects.add(user.subject)
        assert len(subjects) == 2


async def test_accounts_of_the_server_s_own_are_beside_them() -> None:
    async with several(Own()) as world:
        page = await world.browser.get(LOGIN)
        assert page.text.count("Log in with") == 2
        typed = {**Form(page.text).fields, "username": "ada", "password": "wrong"}
        wrong = await world.browser.post(LOGIN, data=typed)
        assert (wrong.status_code, wrong.text.count("Log in with")) == (403, 2)
        right = await world.browser.post(LOGIN, data={**typed, "password": PASSWORD})
        assert right.headers["location"] == CONSENT
        assert await world.person() == ("accounts", "user_ada")


async def test_who_came_by_one_that_is_gone_has_to_log_in_again() -> None:
    async with several() as world:
        await world.browser.get(world.issuers["a"].log_in(await world.go("a")))
        fewer = make_world(
            provider=SeveralLogins([OpenIDConnect("https://b.example", CLIENT_ID, name="b")]), store_of=world.world
        )
        browser = fewer.browser()
        browser.cookies.update(world.browser.cookies)
        assert heading(await browser.get("/oauth/login")) == "Log in"
        await browser.aclose()


def test_two_of_one_name_or_issuer_are_refused() -> None:
    first = OpenIDConnect("https://a.example", CLIENT_ID)
    for second in (OpenIDConnect("https://b.example", CLIENT_ID), OpenIDConnect("https://a.example", "x", name="b")):
        with pytest.raises(ValueError, match="a name and an issuer of its own"):
            SeveralLogins([first, second])


async def test_a_name_that_is_none_of_them_shows_the_page() -> None:
    async with several() as world:
        assert heading(await world.browser.get("/oauth/login?with=evil")) == "Log in"
