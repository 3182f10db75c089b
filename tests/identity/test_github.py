"""Logins at GitHub, against a stand-in that answers in GitHub's shapes and refuses every wrong parameter."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gatepost.identity.github import ISSUER, GitHub
from gatepost.identity.provider import Surroundings
from gatepost.stores.contract.users import User
from tests.identity.openid_issuer import Network, query_of
from tests.web.pages.pages_world import World, heading, make_world

CALLBACK = "https://mcp.example.com/oauth/login/github/callback"
CLIENT = {"client_id": "Iv1.0123", "client_secret": "5ecre7"}
OCTOCAT = {"login": "octocat", "id": 583231, "node_id": "MDQ6VXNlcjU4MzIzMQ==", "name": "The Octocat", "email": None}
EMAILS = [
    {"email": "old@example.com", "primary": False, "verified": True, "visibility": None},
    {"email": "octocat@example.com", "primary": True, "verified": True, "visibility": "private"},
]


class StandIn:
    """github.com and api.github.com."""

    def __init__(self) -> None:
        self.user: Any = dict(OCTOCAT)
        self.emails: Any = EMAILS
        self.emails_status = 200
        self.error: str | None = None
        self._codes: dict[str, str] = {}
        self.site = Starlette(routes=[Route("/login/oauth/access_token", self._token, methods=["POST"])])
        self.api = Starlette(routes=[Route("/user", self._user), Route("/user/emails", self._emails)])

    def log_in(self, url: str, **answer: str) -> str:
        """Return where the browser is sent, since April 2026 with `iss`."""
        asked = query_of(url)
        challenge, state = asked.pop("code_challenge"), asked.pop("state")
        asked.pop("prompt", None)
        assert url.startswith("https://github.com/login/oauth/authorize?")
        assert asked == {
            "response_type": "code",
            "client_id": CLIENT["client_id"],
            "redirect_uri": CALLBACK,
            "scope": "read:user user:email",
            "code_challenge_method": "S256",
        }
        code = f"{len(self._codes):020x}"
        self._codes[code] = challenge
        sent = {"code": code, "iss": "https://github.com/login/oauth", "state": state, **answer}
        return f"{CALLBACK}?{urlencode({name: value for name, value in sent.items() if value})}"

    async def _token(self, request: Request) -> Response:
        """Errors have status 200, as they have there."""
        assert request.headers["accept"] == "application/json", "it would answer in a form"
        form = dict(parse_qsl((await request.body()).decode(), strict_parsing=True))
        if self.error is not None:
            return JSONResponse({"error": self.error, "error_description": "no", "error_uri": "/apps"})
        if not CLIENT.items() <= form.items():
            return JSONResponse({"error": "incorrect_client_credentials"})
        if form["redirect_uri"] != CALLBACK:
            return JSONResponse({"error": "redirect_uri_mismatch"})
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = self._codes.pop(form["code"], None)
        if challenge != base64.urlsafe_b64encode(digest).decode().rstrip("="):
            return JSONResponse({"error": "bad_verification_code"})
        return JSONResponse({"access_token": "gho_1", "scope": "read:user,user:email", "token_type": "bearer"})

    def _allowed(self, request: Request) -> bool:
        assert request.headers["user-agent"]  # without one it answers 403
        return request.headers.get("authorization") == "Bearer gho_1"

    async def _user(self, request: Request) -> Response:
        if not self._allowed(request):
            return JSONResponse({"message": "Bad credentials"}, 401)
        return JSONResponse(self.user)

    async def _emails(self, request: Request) -> Response:
        assert self._allowed(request)
        return JSONResponse(self.emails, self.emails_status)


@dataclass
class Upstream:
    world: World
    github: StandIn

    async def log_in(self, path: str = "/oauth/login", **answer: str) -> tuple[httpx2.Response, User | None]:
        """Log in in a new browser; return the answer and who it is logged in as."""
        browser = self.world.browser()
        there = (await browser.get(path)).headers["location"]
        came_back = await browser.get(self.github.log_in(there, **answer))
        return came_back, (await self.world.session(browser)).user


@pytest.fixture
async def upstream(request: pytest.FixtureRequest) -> AsyncIterator[Upstream]:
    provider = GitHub(**CLIENT)
    world = make_world(provider=provider, allowed=getattr(request, "param", ()))
    github = StandIn()
    network = Network(github_com=github.site, api_github_com=github.api)
    provider.connect(Surroundings(lambda: world.now, world.random_bytes, network))
    yield Upstream(world, github)
    for browser in world.browsers:
        await browser.aclose()


async def test_people_are_their_number_and_have_a_verified_primary_address(upstream: Upstream) -> None:
    came_back, user = await upstream.log_in()
    assert (came_back.status_code, came_back.headers["location"]) == (303, "/oauth/account")
    assert user is not None
    assert (user.issuer, user.external_subject, user.name) == (ISSUER, "583231", "octocat")
    assert (user.profile.email, user.profile.email_verified) == ("octocat@example.com", True)
    assert user.profile.claims == {"login": "octocat", "name": "The Octocat"}


@pytest.mark.parametrize("upstream", [["login:octocat"], ["subject:583231"], ["@example.com"]], indirect=True)
async def test_whom_the_rule_names_may_enter(upstream: Upstream) -> None:
    assert (await upstream.log_in())[1] is not None


@pytest.mark.parametrize("upstream", [["login:monalisa", "subject:58323", "@example.org"]], indirect=True)
async def test_whom_the_rule_does_not_name_reads_why_and_is_not_kept(upstream: Upstream) -> None:
    came_back, user = await upstream.log_in()
    assert (came_back.status_code, heading(came_back)) == (403, "You are not logged in")
    assert "say who may enter, and this account is not among those" in came_back.text
    assert user is None
    assert await upstream.world.store.users.list_users() == []


@pytest.mark.parametrize("upstream", [["login:octocat"]], indirect=True)
async def test_the_rule_is_judged_at_every_login(upstream: Upstream) -> None:
    assert (await upstream.log_in())[1] is not None
    upstream.github.user["login"] = "renamed"
    assert (await upstream.log_in())[1] is None


async def test_who_renames_the_account_stays_who_they_are(upstream: Upstream) -> None:
    _, before = await upstream.log_in()
    upstream.github.user["login"] = "monalisa"
    _, after = await upstream.log_in()
    upstream.github.user = {"login": "octocat", "id": 1}
    _, another = await upstream.log_in()

    assert before is not None
    assert after is not None
    assert another is not None
    assert (after.subject, after.name) == (before.subject, "monalisa")
    assert another.subject != before.subject


@pytest.mark.parametrize(
    ("emails", "status"),
    [
        ([{**EMAILS[1], "verified": False}], 200),
        (EMAILS[:1], 200),
        ([], 200),
        ([{"email": None, "primary": True, "verified": True}, "odd"], 200),
        ({"message": "Resource not accessible by integration"}, 403),
        ({"message": "Not Found"}, 404),
    ],
)
async def test_an_address_that_is_not_verified_or_not_to_be_seen_is_none(
    upstream: Upstream, emails: Any, status: int
) -> None:
    upstream.github.emails, upstream.github.emails_status = emails, status
    came_back, user = await upstream.log_in()
    assert (came_back.status_code, user and user.profile.email) == (303, None)


async def test_who_wants_another_account_chooses_there(upstream: Upstream) -> None:
    there = (await upstream.world.browser().get("/oauth/login?switch=1")).headers["location"]
    assert query_of(there)["prompt"] == "select_account"


@pytest.mark.parametrize(("issuer", "status"), [("", 303), ("https://github.com", 403), ("https://evil.example", 403)])
async def test_its_answers_name_it_or_nobody(upstream: Upstream, issuer: str, status: int) -> None:
    came_back, _ = await upstream.log_in(iss=issuer)
    assert came_back.status_code == status


async def test_a_code_that_is_over_is_no_fault_though_the_answer_has_status_200(upstream: Upstream) -> None:
    came_back, user = await upstream.log_in(code="0" * 20 + "f")
    assert (came_back.status_code, heading(came_back), user) == (403, "You are not logged in", None)
    assert "took too long" in came_back.text


@pytest.mark.parametrize("error", ["incorrect_client_credentials", "redirect_uri_mismatch"])
async def test_an_error_with_status_200_logs_nobody_in_and_is_in_the_log(
    upstream: Upstream, caplog: pytest.LogCaptureFixture, error: str
) -> None:
    upstream.github.error = error
    came_back, user = await upstream.log_in()
    assert (came_back.status_code, heading(came_back), user) == (503, "You cannot be logged in just now", None)
    assert f"login provider github: its token endpoint says {error}" in caplog.text


@pytest.mark.parametrize(
    "user", [[], {"login": "octocat"}, {"login": "octocat", "id": "583231"}, {"id": True}, {"id": 1}]
)
async def test_somebody_without_a_number_is_nobody(upstream: Upstream, user: Any) -> None:
    upstream.github.user = user
    came_back, known = await upstream.log_in()
    assert (came_back.status_code, known) == (503, None)
