"""Logins at Google, Entra and others (security.md, upstream logins): what strangers there can say of themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from gatepost.identity.entra import Entra
from gatepost.identity.google import Google
from gatepost.identity.oauth2 import Discord, OAuth2
from gatepost.identity.provider import IdentityProvider
from gatepost.identity.several_logins import SeveralLogins
from tests.identity.entra_stand_in import ADA, OTHER_TENANT, TENANT, EntraStandIn
from tests.identity.google_stand_in import GoogleStandIn
from tests.identity.openid_issuer import query_of
from tests.identity.stand_ins import CLIENT_ID, KEYS, SECRET, Elsewhere, callback, elsewhere
from tests.identity.test_oauth2 import ENDPOINTS, DiscordStandIn, Server
from tests.web.pages.pages_world import heading

ANY_TENANT = partial(EntraStandIn, tenant="organizations")
MADE_UP = {
    "email": "ada@example.com",
    "email_verified": True,
    "preferred_username": "ada@example.com",
    "upn": "ada@example.com",
}


@asynccontextmanager
async def side_by_side() -> AsyncIterator[tuple[Elsewhere, GoogleStandIn, EntraStandIn]]:
    """Google and Entra on one page."""
    provider = SeveralLogins([Google(CLIENT_ID, SECRET), Entra(TENANT, CLIENT_ID, SECRET)])
    async with elsewhere(provider, GoogleStandIn, EntraStandIn) as (world, google, entra):
        yield world, google, entra


def brought(url: str, to: str, state: str) -> str:
    """Return an answer as an attacker brings it to another provider's callback, with a state that opens there."""
    answer = {**dict(parse_qsl(urlsplit(url).query)), "state": state}
    return f"{callback(to)}?{urlencode({name: answer[name] for name in ('code', 'state')})}"


@pytest.mark.parametrize("rule", ["ada@example.com", "@example.com", "@EXAMPLE.COM"])
@pytest.mark.parametrize("tenant", ["organizations", TENANT])
async def test_an_address_that_a_tenant_made_up_satisfies_no_rule(rule: str, tenant: str) -> None:
    stand_in = partial(EntraStandIn, tenant=tenant)
    async with elsewhere(Entra(tenant, CLIENT_ID, SECRET), stand_in, allowed=[rule]) as (world, entra):
        entra.at(OTHER_TENANT if tenant == "organizations" else TENANT, **MADE_UP)
        came_back, user = await world.log_in(entra)
        assert (came_back.status_code, heading(came_back), user) == (403, "You may not enter here", None)
        assert await world.world.store.users.list_users() == []


@pytest.mark.parametrize("rule", ["group:staff", f"group:{TENANT}/staff", f"subject:{ADA}", f"subject:{TENANT}/{ADA}"])
async def test_what_one_tenant_calls_its_groups_and_people_means_nothing_of_another(rule: str) -> None:
    async with elsewhere(Entra("organizations", CLIENT_ID, SECRET), ANY_TENANT, allowed=[rule]) as (world, entra):
        entra.at(OTHER_TENANT, groups=["staff", "Staff"])
        assert (await world.log_in(entra))[1] is None


@pytest.mark.parametrize(
    ("provider", "stand_in", "person"),
    [
        (Google(CLIENT_ID, SECRET), GoogleStandIn, {"email": "ada@example.com", "email_verified": True}),
        (
            Google(CLIENT_ID, SECRET),
            GoogleStandIn,
            {"email": "ada@example.com", "hd": "example.com", "email_verified": False},
        ),
        (Discord(CLIENT_ID, SECRET), DiscordStandIn, {"email": "ada@example.com", "verified": False}),
        (
            Discord(CLIENT_ID, SECRET),
            DiscordStandIn,
            {"email": "ada@example.com", "verified": None, "email_verified": True},
        ),
    ],
)
async def test_an_address_that_a_provider_does_not_answer_for_satisfies_no_rule(
    provider: IdentityProvider, stand_in: Callable[..., Any], person: dict[str, Any]
) -> None:
    async with elsewhere(provider, stand_in, allowed=["ada@example.com", "@example.com"]) as (world, there):
        (there.claims if isinstance(there, GoogleStandIn) else there.person).update(person)
        came_back, user = await world.log_in(there)
    assert (came_back.status_code, user) == (403, None)


async def test_a_company_is_what_google_says_and_not_what_the_browser_asks_for() -> None:
    async with elsewhere(Google(CLIENT_ID, SECRET, hosted_domain="example.com"), GoogleStandIn) as (world, google):
        browser, url = await world.go()
        google.may = {**google.may, "hd": ("evil.example",)}
        google.claims["hd"] = "evil.example"
        came_back = await browser.get(google.authorize(url.replace("hd=example.com", "hd=evil.example")))
        assert came_back.status_code == 403
        assert (await world.world.session(browser)).user is None


async def test_a_code_of_entra_does_not_reach_google() -> None:
    async with side_by_side() as (world, google, entra):
        _, at_entra = await world.go("/oauth/login?with=entra")
        browser, at_google = await world.go("/oauth/login?with=google")
        stolen = brought(entra.authorize(at_entra), "google", query_of(at_google)["state"])
        came_back = await browser.get(stolen)
        assert (came_back.status_code, heading(came_back)) == (403, "You are not logged in")
        assert "/token" not in google.asked
        assert (await world.world.session(browser)).user is None


async def test_a_code_of_google_logs_nobody_in_at_a_provider_that_does_not_name_itself() -> None:
    async with side_by_side() as (world, google, entra):
        _, at_google = await world.go("/oauth/login?with=google")
        honest = google.authorize(at_google)
        browser, at_entra = await world.go("/oauth/login?with=entra")
        came_back = await browser.get(brought(honest, "entra", query_of(at_entra)["state"]))
        assert came_back.status_code == 403
        named = f"{brought(honest, 'entra', query_of(at_entra)['state'])}&iss=https%3A%2F%2Faccounts.google.com"
        assert (await browser.get(named)).status_code == 400, "the state is used up"
        assert (await world.world.session(browser)).user is None
        assert not google.given
        assert entra.asked[-1].endswith("/token")


async def test_an_id_token_of_google_is_none_of_entra_and_the_other_way_round() -> None:
    async with side_by_side() as (world, google, entra):
        entra.claims = {**entra.claims, "iss": google.issuer}
        google.claims = {**google.claims, "iss": entra.issuer, "tid": TENANT, "oid": ADA}
        for there, name in ((entra, "entra"), (google, "google")):
            came_back, user = await world.log_in(there, f"/oauth/login?with={name}")
            assert (came_back.status_code, user) == (503, None)


async def test_a_key_that_signs_for_one_tenant_signs_for_no_other() -> None:
    async with elsewhere(Entra("organizations", CLIENT_ID, SECRET), ANY_TENANT) as (world, entra):
        entra.key_issuers = {str(KEYS[1].kid): f"https://login.microsoftonline.com/{OTHER_TENANT}/v2.0"}
        entra.key = KEYS[1]
        assert (await world.log_in(entra))[1] is None
        entra.at(OTHER_TENANT)
        assert (await world.log_in(entra))[1] is not None


async def test_the_resource_that_an_app_asks_for_goes_to_no_login_provider() -> None:
    async with elsewhere(Entra(TENANT, CLIENT_ID, SECRET), EntraStandIn) as (world, entra):
        await world.world.register()
        browser = world.world.browser()
        await world.world.begin(browser)
        there = (await browser.get("/oauth/login?transaction=transaction_1")).headers["location"]
        assert "resource" not in query_of(there)
        assert "mcp.example.com%2Fmcp" not in there
        came_back = await browser.get(entra.authorize(there))
        assert came_back.headers["location"] == "/oauth/consent?transaction=transaction_1"
        wrong = entra.authorize(f"{there}&resource=https%3A%2F%2Fmcp.example.com%2Fmcp")
        assert query_of(wrong)["error"] == "invalid_request", "and Entra would refuse it"


async def test_one_number_at_two_providers_is_two_people() -> None:
    server = OAuth2(**ENDPOINTS, client_id=CLIENT_ID, client_secret=SECRET, scopes=["profile"], subject="id")
    person = {"id": "80351110224678912", "name": "mallory", "email": "nelly@example.com", "email_verified": True}
    provider = SeveralLogins([Discord(CLIENT_ID, SECRET), server])
    async with elsewhere(provider, DiscordStandIn, partial(Server, person=person)) as (world, discord, other):
        first, _ = await world.log_in(discord, "/oauth/login?with=discord")
        second, _ = await world.log_in(other, "/oauth/login?with=oauth2")
        assert (first.status_code, second.status_code) == (303, 303)
        users = await world.world.store.users.list_users()
    assert {(user.issuer, user.external_subject) for user in users} == {
        ("https://discord.com", "80351110224678912"),
        ("https://login.example.com", "80351110224678912"),
    }
    assert len({user.subject for user in users}) == 2
