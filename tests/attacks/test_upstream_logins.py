"""Logins that go elsewhere and come back (security.md, upstream logins): nobody is logged in by another's answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gatepost.identity.provider import Identity, IdentityProvider, Login, LoginRefused, LoginRoute
from gatepost.oauth.display_text import display_text
from gatepost.oauth.policy import AutoApprove
from gatepost.stores.contract.users import LOCAL, User
from gatepost.tokens.opaque import fingerprint
from tests.attacks.test_unasked_consent import Asking
from tests.web.pages.pages_world import ORIGIN, World, heading, make_world

ELSEWHERE = "https://idp.example/authorize"


class Upstream(IdentityProvider):
    """Takes the name of a person out of the answer, as a real one takes it out of what it asks the upstream for."""

    name = "upstream"
    issuer = "https://idp.example"

    @property
    def routes(self) -> list[LoginRoute]:
        return [
            LoginRoute("callback", self.callback),
            LoginRoute("hasty", self.hasty),
            LoginRoute("form", self.callback, "POST"),
        ]

    async def challenge(self, request: Request, login: Login) -> Response:
        del request
        return RedirectResponse(f"{ELSEWHERE}?state={await login.begin({'nonce': 'n-1'})}", 303)

    async def callback(self, request: Request, login: Login) -> Response:
        sent = request.query_params
        data = await login.resume(sent.get("state"))
        assert data == {"nonce": "n-1"}
        if sent["iss"] != self.issuer:
            raise LoginRefused("Another server answered.")
        return await login.finish(Identity(sent["sub"], sent.get("name"), issuer=sent.get("as")))

    async def hasty(self, request: Request, login: Login) -> Response:
        """Forgets to look at the state."""
        return await login.finish(Identity(request.query_params["sub"]))


@dataclass
class UpstreamWorld:
    world: World

    async def go(self, browser: httpx2.AsyncClient, path: str = "/oauth/login?switch=1") -> str:
        """Begin a login; return the state that goes around."""
        answer = await browser.get(path)
        assert answer.headers["location"].startswith(ELSEWHERE)
        return parse_qs(urlsplit(answer.headers["location"]).query)["state"][0]

    async def come_back(
        self, browser: httpx2.AsyncClient, state: str, *, to: str = "callback", **answer: str
    ) -> httpx2.Response:
        """Open the address that the upstream sends the browser to."""
        parameters = {"state": state, "iss": Upstream.issuer, "sub": "4711", **answer}
        return await browser.get(f"/oauth/login/upstream/{to}", params=parameters)

    async def who(self, browser: httpx2.AsyncClient) -> str | None:
        """Return whom this browser is logged in as."""
        if self.world.secret(browser) is None:
            return None
        user = (await self.world.session(browser)).user
        return None if user is None else user.external_subject


@pytest.fixture
async def upstream() -> AsyncIterator[UpstreamWorld]:
    world = make_world(provider=Upstream())
    await world.register()
    yield UpstreamWorld(world)
    for browser in world.browsers:
        await browser.aclose()


def is_over(answer: httpx2.Response) -> bool:
    return (answer.status_code, heading(answer)) == (400, "This login is over")


async def test_a_state_opens_once_even_for_many_at_once(upstream: UpstreamWorld) -> None:
    browser = upstream.world.browser()
    state = await upstream.go(browser)
    tabs = [upstream.world.browser() for _ in range(5)]
    for tab in tabs:
        tab.cookies.update(browser.cookies)

    answers = await asyncio.gather(*(upstream.come_back(tab, state) for tab in tabs))

    assert sorted(answer.status_code for answer in answers) == [303, 400, 400, 400, 400]
    for tab in tabs:
        assert is_over(await upstream.come_back(tab, state))


async def test_an_answer_that_another_browser_asked_for_logs_nobody_in(upstream: UpstreamWorld) -> None:
    """The thief logs in, keeps its own answer, and makes the victim's browser open it: the victim would act as it."""
    thief, victim, stranger = upstream.world.browser(), upstream.world.browser(), upstream.world.browser()
    state = await upstream.go(thief)
    await upstream.go(victim)

    for browser in (victim, stranger):
        answer = await upstream.come_back(browser, state, sub="thief")
        assert is_over(answer)
        assert await upstream.who(browser) is None
    # And it is not spoilt for whom it belongs to.
    assert (await upstream.come_back(thief, state, sub="thief")).status_code == 303


@pytest.mark.parametrize("state", ["", "x", "gp_ls_" + "A" * 43, "gp_bs_" + "A" * 43])
async def test_a_made_up_state_opens_nothing(upstream: UpstreamWorld, state: str) -> None:
    browser = upstream.world.browser()
    await upstream.go(browser)

    assert is_over(await upstream.come_back(browser, state))


async def test_a_state_is_over_after_ten_minutes(upstream: UpstreamWorld) -> None:
    browser = upstream.world.browser()
    state = await upstream.go(browser)
    upstream.world.now += 600

    assert is_over(await upstream.come_back(browser, state))


async def test_another_issuers_answer_is_refused_and_uses_the_state_up(upstream: UpstreamWorld) -> None:
    """Mix-up: the answer of one upstream must not count as another's (RFC 9207)."""
    browser = upstream.world.browser()
    state = await upstream.go(browser)

    mixed_up = await upstream.come_back(browser, state, iss="https://evil.example")

    assert (mixed_up.status_code, heading(mixed_up)) == (403, "You are not logged in")
    assert "evil" not in mixed_up.text
    assert await upstream.who(browser) is None
    assert is_over(await upstream.come_back(browser, state))


async def test_the_state_of_one_provider_opens_nothing_at_another(upstream: UpstreamWorld) -> None:
    class Other(Upstream):
        name = "other"

    browser = upstream.world.browser()
    state = await upstream.go(browser)
    other = make_world(provider=Other(), store_of=upstream.world)
    there = other.browser()
    there.cookies.update(browser.cookies)

    answer = await there.get("/oauth/login/other/callback", params={"state": state, "iss": Upstream.issuer, "sub": "x"})

    assert is_over(answer)
    assert (await upstream.come_back(browser, state)).status_code == 303
    await there.aclose()


async def test_a_provider_that_forgets_the_state_logs_nobody_in(upstream: UpstreamWorld) -> None:
    browser = upstream.world.browser()
    await upstream.go(browser)

    answer = await upstream.come_back(browser, "", to="hasty")

    assert answer.status_code == 500
    assert await upstream.who(browser) is None


async def test_a_provider_cannot_vouch_for_local_accounts(upstream: UpstreamWorld) -> None:
    ada = User("user_ada", LOCAL, "user_ada", upstream.world.now, username="ada", password_hash="$argon2id$")
    await upstream.world.store.users.add_user(ada)
    browser = upstream.world.browser()

    answer = await upstream.come_back(browser, await upstream.go(browser), **{"as": LOCAL, "sub": "user_ada"})

    assert answer.status_code == 500
    assert await upstream.who(browser) is None


async def test_a_form_of_another_site_is_not_taken(upstream: UpstreamWorld) -> None:
    browser = upstream.world.browser()
    state = await upstream.go(browser)
    parameters = {"state": state, "iss": Upstream.issuer, "sub": "4711"}

    for origin, status in (("https://evil.example", 403), ("null", 403), (ORIGIN, 303)):
        answer = await browser.post("/oauth/login/upstream/form", params=parameters, headers={"Origin": origin})
        assert answer.status_code == status


async def test_the_login_renews_the_session_and_goes_back_to_the_request_that_waits(upstream: UpstreamWorld) -> None:
    asking = Asking(upstream.world)
    went = await asking.browser.get("/oauth/authorize", params=asking.parameters())
    path = went.headers["location"]
    state = await upstream.go(asking.browser, path)
    planted = upstream.world.secret(asking.browser)

    answer = await upstream.come_back(asking.browser, state)

    assert answer.headers["location"] == path.replace("login", "consent")
    assert upstream.world.secret(asking.browser) not in {None, planted}
    assert {"cache-control", "content-security-policy", "x-frame-options"} <= set(answer.headers)


async def test_what_a_state_keeps_is_sealed_and_its_row_opens_nothing(upstream: UpstreamWorld) -> None:
    browser = upstream.world.browser()
    state = await upstream.go(browser)

    [row] = await upstream.world.rows("pending_logins", "state_fingerprint", "browser_id", "place", "sealed_data")

    assert row[:3] == [fingerprint(state), (await upstream.world.session(browser)).session.browser_id, "upstream"]
    assert state.encode() not in row[3]
    assert b"n-1" not in row[3]


async def test_people_are_who_their_issuer_says_and_never_joined(upstream: UpstreamWorld) -> None:
    subjects = []
    for issuer in (Upstream.issuer, "https://other.example", "https://other.example/"):
        browser = upstream.world.browser()
        await upstream.come_back(browser, await upstream.go(browser), **{"as": issuer, "sub": "owner"})
        user = (await upstream.world.session(browser)).user
        assert user is not None
        subjects.append(user.subject)

    assert len(set(subjects)) == 3
    assert all(subject.startswith("user_") for subject in subjects)

    # Nobody elsewhere is the operator.
    browser = upstream.world.browser()
    await upstream.come_back(browser, await upstream.go(browser), **{"as": "operator", "sub": "owner"})
    assert (await upstream.world.session(browser)).user is None


async def test_a_name_from_elsewhere_is_shown_as_inert_text(upstream: UpstreamWorld) -> None:
    browser = upstream.world.browser()
    name = "<script>\x1b[31m\u202eadA" + "x" * 5000
    await upstream.come_back(browser, await upstream.go(browser), name=name)

    user = (await upstream.world.session(browser)).user

    assert user is not None
    assert user.name == display_text(name) != name
    assert "<script" not in (await browser.get("/oauth/login")).text


async def test_a_refusal_without_asking_is_a_page_at_the_login_and_no_code() -> None:
    class Strict(IdentityProvider):
        name = "strict"

        async def authenticate(self, request: Request, credentials: Mapping[str, str]) -> Identity | None:
            del request, credentials
            raise LoginRefused("Only people of the company may enter.")

    world = make_world(provider=Strict(), auto_approve=AutoApprove.ALWAYS)
    await world.register()
    asking = Asking(world)

    refused = await asking.ask()

    assert (refused.status_code, heading(refused)) == (403, "You are not logged in")
    assert "Only people of the company may enter." in refused.text
    await asking.browser.aclose()


async def test_one_who_is_disabled_is_refused_and_logged_out(upstream: UpstreamWorld) -> None:
    browser, again = upstream.world.browser(), upstream.world.browser()
    await upstream.come_back(browser, await upstream.go(browser))
    user = (await upstream.world.session(browser)).user
    assert user is not None
    await upstream.world.store.users.disable_user(user.subject, now=upstream.world.now)

    refused = await upstream.come_back(again, await upstream.go(again))

    assert (refused.status_code, heading(refused)) == (403, "Your account is disabled")
    assert await upstream.who(again) is None
    assert (await browser.get("/oauth/login")).headers["location"].startswith(ELSEWHERE)
