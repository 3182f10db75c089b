"""Logins at Google, against a stand-in that answers in Google's shapes and refuses every wrong parameter."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost.identity.google import Google
from gatepost.identity.openid_connect import CLOCK_SKEW
from tests.identity.google_stand_in import ADA, GoogleStandIn
from tests.identity.openid_issuer import query_of
from tests.identity.stand_ins import CLIENT_ID, KEYS, SECRET, elsewhere
from tests.web.pages.pages_world import heading

WORKSPACE = {"email": "ada@example.com", "hd": "example.com"}


async def test_people_are_their_sub_and_have_the_address_that_google_speaks_for() -> None:
    async with elsewhere(Google(CLIENT_ID, SECRET), GoogleStandIn) as (world, google):
        user = await world.person(google)

    assert (user.issuer, user.external_subject, user.name) == ("https://accounts.google.com", ADA["sub"], ADA["name"])
    assert (user.profile.email, user.profile.email_verified) == ("ada@gmail.com", True)
    assert user.profile.claims == {name: value for name, value in ADA.items() if name not in {"azp", "at_hash"}}
    assert google.asked == ["/.well-known/openid-configuration", "/token", "/oauth2/v3/certs"]


@pytest.mark.parametrize(
    ("claims", "verified"),
    [
        (WORKSPACE, True),
        ({"email": "Ada@GoogleMail.com"}, True),
        ({**WORKSPACE, "email_verified": False}, False),
        ({"email_verified": False}, False),
        ({"email_verified": "true"}, False),
        ({"email": "ada@example.com"}, False),
        ({"email": "ada@notgmail.com"}, False),
        ({"email": "ada@gmail.com.evil.example"}, False),
    ],
)
async def test_an_address_elsewhere_that_was_verified_once_does_not_count(
    claims: dict[str, Any], verified: bool
) -> None:
    async with elsewhere(
        Google(CLIENT_ID, SECRET), GoogleStandIn, allowed=["@example.com", "subject:110169484474386276334"]
    ) as (
        world,
        google,
    ):
        google.claims |= claims
        assert (await world.person(google)).profile.email_verified is verified


async def test_whoever_has_an_account_with_an_address_of_the_company_is_not_the_company() -> None:
    async with elsewhere(Google(CLIENT_ID, SECRET), GoogleStandIn, allowed=["@example.com"]) as (world, google):
        google.claims["email"] = "ada@example.com"
        came_back, user = await world.log_in(google)
        assert (came_back.status_code, user) == (403, None)
        google.claims["hd"] = "example.com"
        await world.person(google)


@pytest.mark.parametrize("issuer", ["https://accounts.google.com", "accounts.google.com"])
async def test_both_forms_of_the_issuer_are_the_same_person(issuer: str) -> None:
    async with elsewhere(Google(CLIENT_ID, SECRET), GoogleStandIn) as (world, google):
        first = await world.person(google)
        google.claims["iss"] = issuer
        assert await world.person(google) == first


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "http://accounts.google.com"},
        {"iss": "https://accounts.google.com/"},
        {"iss": ["accounts.google.com"]},
        {"iss": None},
        {"aud": "another.apps.googleusercontent.com"},
        {"aud": [CLIENT_ID, "another"], "azp": "another"},
        {"nonce": "another"},
        {"exp": 1_000_000 - CLOCK_SKEW},
        {"iat": 1_000_001 + CLOCK_SKEW},
    ],
    ids=str,
)
async def test_an_id_token_that_is_not_for_this_login_logs_nobody_in(claims: dict[str, Any]) -> None:
    async with elsewhere(Google(CLIENT_ID, SECRET), GoogleStandIn) as (world, google):
        google.claims |= claims
        came_back, user = await world.log_in(google)
    assert (came_back.status_code, heading(came_back), user) == (503, "You cannot be logged in just now", None)


async def test_keys_that_come_and_go_are_followed() -> None:
    async with elsewhere(Google(CLIENT_ID, SECRET), GoogleStandIn) as (world, google):
        await world.person(google)
        google.key = KEYS[1]
        await world.person(google)
        google.published, google.key = KEYS[1:], KEYS[2]
        await world.person(google)
        google.key = KEYS[0]
        assert (await world.log_in(google))[1] is None
    assert google.asked.count("/oauth2/v3/certs") == 3


async def test_one_company_alone_is_asked_for_and_its_word_counts() -> None:
    async with elsewhere(Google(CLIENT_ID, SECRET, hosted_domain="Example.com"), GoogleStandIn) as (world, google):
        assert query_of((await world.go())[1])["hd"] == "example.com"
        for claims in ({}, {"hd": "example.org"}, {"hd": ["example.com"]}, {"email": "ada@example.com"}):
            google.claims = {**ADA, **claims}
            came_back, user = await world.log_in(google)
            assert (came_back.status_code, heading(came_back), user) == (403, "You are not logged in", None)
            assert "Only accounts of example.com at Google can log in here." in came_back.text
        google.claims = {**ADA, **WORKSPACE}
        await world.person(google)


async def test_a_refresh_token_comes_at_every_login_and_only_when_it_is_asked_for() -> None:
    async with elsewhere(Google(CLIENT_ID, SECRET), GoogleStandIn) as (world, google):
        await world.person(google)
    async with elsewhere(Google(CLIENT_ID, SECRET, keep_tokens=True), GoogleStandIn) as (world, offline):
        for path in ("/oauth/login", "/oauth/login", "/oauth/login?switch=1"):
            assert (await world.log_in(offline, path))[1]
    assert ["refresh_token" in answer for answer in google.given + offline.given] == [False, True, True, True]


async def test_who_wants_another_account_chooses_there() -> None:
    async with elsewhere(Google(CLIENT_ID, SECRET), GoogleStandIn) as (world, google):
        assert "prompt" not in query_of((await world.go())[1])
        assert query_of((await world.go("/oauth/login?switch=1"))[1])["prompt"] == "select_account"
        assert (await world.log_in(google, "/oauth/login?switch=1"))[1]


@pytest.mark.parametrize("issuer", ["", "accounts.google.com", "https://evil.example"])
async def test_its_answers_name_it(issuer: str, caplog: pytest.LogCaptureFixture) -> None:
    async with elsewhere(Google(CLIENT_ID, SECRET), GoogleStandIn) as (world, google):
        came_back, user = await world.log_in(google, iss=issuer)
    assert (came_back.status_code, user, google.given) == (403, None, [])
    assert "login provider google: an answer names another issuer, or none" in caplog.text


async def test_a_code_that_is_over_is_no_fault() -> None:
    async with elsewhere(Google(CLIENT_ID, SECRET), GoogleStandIn) as (world, google):
        came_back, user = await world.log_in(google, code="4/0&9")
    assert (came_back.status_code, user) == (403, None)
    assert "took too long" in came_back.text


@pytest.mark.parametrize("domain", ["", "*", "example", "@example.com", "https://example.com", "example.com "])
def test_what_cannot_be_a_domain_is_refused(domain: str) -> None:
    with pytest.raises(ValueError, match=r"^The hosted domain is the primary domain of a Google Workspace"):
        Google(CLIENT_ID, SECRET, hosted_domain=domain)
