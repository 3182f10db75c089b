"""Logins where there is no OpenID: at any OAuth 2.0 server by its three URLs, and at Discord."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from gatepost.identity.oauth2 import Discord, OAuth2
from tests.identity.openid_issuer import query_of
from tests.identity.stand_ins import CLIENT_ID, SECRET, StandIn, elsewhere
from tests.web.pages.pages_world import heading

ENDPOINTS: dict[str, Any] = {
    "authorization_endpoint": "https://login.example.com/authorize",
    "token_endpoint": "https://login.example.com/token",
    "userinfo_endpoint": "https://api.example.com/me",
}
NELLY = {
    "id": "80351110224678912",
    "username": "nelly",
    "discriminator": "0",
    "global_name": "Nelly",
    "avatar": None,
    "verified": True,
    "email": "nelly@example.com",
    "flags": 64,
    "premium_type": 1,
    "public_flags": 64,
    "mfa_enabled": True,
    "locale": "en-US",
}


class Server(StandIn):
    """Says who it is at an API of its own."""

    authorization_endpoint = ENDPOINTS["authorization_endpoint"]
    scope = "profile"
    by_header = True
    may: Mapping[str, tuple[str, ...]] = {}

    def __init__(self, clock: Callable[[], int], person: object, *, by_header: bool = True) -> None:
        super().__init__("oauth2", clock)
        self.person, self.by_header = person, by_header

    def hosts(self) -> dict[str, Starlette]:
        """Return its servers."""
        return {"login_example_com": self.served(__token=self.token), "api_example_com": self.served(__me=self.me)}

    async def me(self, request: Request) -> Response:
        """Say who has the access token."""
        return JSONResponse(self.person) if self.knows(request) else JSONResponse({"message": "401"}, 401)


class DiscordStandIn(Server):
    """discord.com."""

    authorization_endpoint = "https://discord.com/oauth2/authorize"
    scope = "identify email"

    def __init__(self, clock: Callable[[], int]) -> None:
        super().__init__(clock, dict(NELLY))
        self.redirect_uri = self.redirect_uri.replace("oauth2", "discord")

    def hosts(self) -> dict[str, Starlette]:
        """Return its server."""
        return {"discord_com": self.served(**{"__api__oauth2__token": self.token, "__api__users__@me": self.me})}


def of(**options: Any) -> OAuth2:
    return OAuth2(**ENDPOINTS, client_id=CLIENT_ID, client_secret=SECRET, **{"scopes": ["profile"], **options})


async def test_members_with_the_usual_names_need_no_saying() -> None:
    person = {"sub": "4711", "name": "Ada", "email": "ada@example.com", "email_verified": True, "groups": ["staff", 1]}
    async with elsewhere(of(), partial(Server, person=person), allowed=["@example.com"]) as (world, there):
        user = await world.person(there)
    assert (user.issuer, user.external_subject, user.name) == ("https://login.example.com", "4711", "Ada")
    assert (user.profile.email, user.profile.email_verified) == ("ada@example.com", True)
    assert (user.profile.groups, user.profile.claims) == (("staff",), person)


async def test_others_are_named_by_paths_and_a_number_is_a_subject() -> None:
    person = {"data": {"id": 4711, "handle": "ada", "mail": {"address": "ada@example.com", "ok": True}, "teams": ["a"]}}
    provider = of(
        subject="data.id",
        display_name="data.handle",
        email="data.mail.address",
        email_verified="data.mail.ok",
        groups=["data.teams"],
        issuer="https://company.example",
        token_endpoint_auth_method="client_secret_post",
    )
    async with elsewhere(provider, partial(Server, person=person, by_header=False)) as (world, there):
        user = await world.person(there)
    assert (user.issuer, user.external_subject, user.name) == ("https://company.example", "4711", "ada")
    assert (user.profile.email, user.profile.email_verified) == ("ada@example.com", True)
    assert user.profile.groups == ("a",)


@pytest.mark.parametrize(
    "person",
    [
        {},
        [],
        None,
        "4711",
        {"id": 4711},
        {"sub": None},
        {"sub": ""},
        {"sub": True},
        {"sub": 4711.0},
        {"sub": ["4711"]},
        {"sub": {"id": "4711"}},
        {"sub": "x" * 256},
        {"sub": "47\n11"},
    ],
    ids=str,
)
async def test_somebody_without_a_subject_is_nobody(person: object, caplog: pytest.LogCaptureFixture) -> None:
    async with elsewhere(of(), partial(Server, person=person)) as (world, there):
        came_back, user = await world.log_in(there)
    assert (came_back.status_code, heading(came_back), user) == (503, "You cannot be logged in just now", None)
    assert "login provider oauth2: its user info has no member for the subject" in caplog.text


@pytest.mark.parametrize("said", ["true", 1, None, ["ada@example.com"]])
async def test_only_true_verifies_an_address(said: object) -> None:
    person = {"sub": "1", "email": "ada@example.com", "email_verified": said}
    async with elsewhere(of(), partial(Server, person=person)) as (world, there):
        assert not (await world.person(there)).profile.email_verified


@pytest.mark.parametrize("issuer", ["https://login.example.com/", "https://evil.example", "https://api.example.com"])
async def test_an_issuer_that_an_answer_names_is_compared(issuer: str) -> None:
    async with elsewhere(of(), partial(Server, person={"sub": "1"})) as (world, there):
        assert (await world.log_in(there, iss=issuer))[0].status_code == 403
        assert (await world.log_in(there, iss="https://login.example.com"))[0].status_code == 303


@pytest.mark.parametrize("path", ["/token", "/me"])
@pytest.mark.parametrize(
    "answer",
    [
        PlainTextResponse("down", 500),
        PlainTextResponse("access_token=theirs", 200),
        RedirectResponse("https://evil.example/"),
        JSONResponse({"error": "invalid_client"}, 401),
        JSONResponse({"error": "invalid_client"}, 200),
        JSONResponse({"token_type": "Bearer"}),
    ],
)
async def test_a_server_that_fails_is_said(path: str, answer: Response) -> None:
    async with elsewhere(of(), partial(Server, person={"sub": "1"})) as (world, there):
        there.instead[path] = answer
        assert (await world.log_in(there))[0].status_code == 503
        del there.instead[path]
        await world.person(there)


@pytest.mark.parametrize("name", list(ENDPOINTS))
def test_what_is_no_endpoint_is_refused(name: str) -> None:
    for url in ("", "login.example.com/me", "http://login.example.com/me", "https://login.example.com/me?x=1"):
        with pytest.raises(ValueError, match=r"^Each of the three endpoints is an https URL without query"):
            OAuth2(**{**ENDPOINTS, name: url}, client_id=CLIENT_ID)


def test_an_address_is_no_subject() -> None:
    with pytest.raises(ValueError, match=r"^The subject is a member that stays, and is nobody else's later"):
        of(subject="email")
    with pytest.raises(ValueError, match=r"^The subject is a member that stays"):
        of(subject="data.mail", email="data.mail")


async def test_discord_s_people_are_their_number() -> None:
    async with elsewhere(Discord(CLIENT_ID, SECRET), DiscordStandIn, allowed=["@example.com"]) as (world, discord):
        user = await world.person(discord)
        discord.person["username"] = "renamed"
        renamed = await world.person(discord)
    assert (user.issuer, user.external_subject, user.name) == ("https://discord.com", NELLY["id"], "nelly")
    assert (user.profile.email, user.profile.email_verified) == ("nelly@example.com", True)
    assert user.profile.claims == {"username": "nelly", "global_name": "Nelly", "locale": "en-US"}
    assert (renamed.subject, renamed.name) == (user.subject, "renamed")


@pytest.mark.parametrize("change", [{"verified": False}, {"email": None}, {"email": None, "verified": None}])
async def test_an_address_that_discord_has_not_verified_counts_for_nothing(change: dict[str, Any]) -> None:
    async with elsewhere(Discord(CLIENT_ID, SECRET), DiscordStandIn) as (world, discord):
        discord.person |= change
        assert not (await world.person(discord)).profile.email_verified


async def test_the_stand_ins_refuse_what_is_not_theirs() -> None:
    async with elsewhere(Discord(CLIENT_ID, SECRET), DiscordStandIn) as (world, discord):
        _, right = await world.go()
        for wrong in (
            f"{right}&resource=https%3A%2F%2Fmcp.example.com",
            f"{right}&nonce=1",
            right.replace("code_challenge_method=S256", "code_challenge_method=plain"),
            right.replace("code_challenge_method=S256", "nothing=1"),
            right.replace(f"client_id={CLIENT_ID}", "client_id=another"),
            right.replace("callback", "callback2"),
            right.replace("identify", "guilds"),
            right.replace("discord.com/oauth2", "discord.com/api/oauth2"),
        ):
            assert query_of(discord.authorize(wrong))["error"] == "invalid_request"
        assert "code" in query_of(discord.authorize(right))


@pytest.mark.parametrize(
    ("change", "secret", "status"),
    [
        ({}, SECRET, 200),
        ({"code_verifier": "another" * 7}, SECRET, 400),
        ({"code_verifier": None}, SECRET, 400),
        ({"redirect_uri": "https://mcp.example.com/oauth/login/google/callback"}, SECRET, 400),
        ({"redirect_uri": None}, SECRET, 400),
        ({"grant_type": "refresh_token"}, SECRET, 400),
        ({"resource": "https://mcp.example.com"}, SECRET, 400),
        ({"client_secret": SECRET}, SECRET, 400),
        ({}, "another", 401),
        ({"client_id": CLIENT_ID, "client_secret": SECRET}, None, 401),
    ],
    ids=str,
)
async def test_the_stand_ins_redeem_a_code_once_and_for_nothing_else(
    change: dict[str, str | None], secret: str | None, status: int
) -> None:
    discord = DiscordStandIn(lambda: 1)
    verifier = "v" * 43
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    asked = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": discord.redirect_uri,
        "scope": "identify email",
        "state": "s",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    code = query_of(discord.authorize(f"{discord.authorization_endpoint}?{urlencode(asked)}"))["code"]
    right = {"grant_type": "authorization_code", "redirect_uri": discord.redirect_uri, "code_verifier": verifier}
    form = {name: value for name, value in {**right, "code": code, **change}.items() if value is not None}
    auth = None if secret is None else httpx2.BasicAuth(CLIENT_ID, secret)
    transport = httpx2.ASGITransport(app=discord.hosts()["discord_com"])
    async with httpx2.AsyncClient(transport=transport, base_url="https://discord.com", auth=auth) as http:
        answers = [await http.post("/api/oauth2/token", data=form) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [status, max(status, 400)]
