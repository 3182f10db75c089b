"""Logins at GitHub, against a stand-in that answers in GitHub's shapes and refuses every wrong parameter."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
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
from gatepost.outbound.fetching import FetchFailed
from gatepost.stores.contract.users import User
from tests.identity.openid_issuer import Network, query_of
from tests.web.pages.pages_world import World, heading, make_world

CALLBACK = "https://mcp.example.com/oauth/login/github/callback"
CLIENT: dict[str, Any] = {"client_id": "Iv1.0123", "client_secret": "5ecre7"}
OCTOCAT = {"login": "octocat", "id": 583231, "node_id": "MDQ6VXNlcjU4MzIzMQ==", "name": "The Octocat", "email": None}
EMAILS = [
    {"email": "old@example.com", "primary": False, "verified": True, "visibility": None},
    {"email": "octocat@example.com", "primary": True, "verified": True, "visibility": "private"},
]
OAUTH_APP: dict[str, Any] = {"access_token": "gho_1", "scope": "read:user,user:email", "token_type": "bearer"}
"""What an OAuth app gets; it lasts until it is revoked."""
GITHUB_APP: dict[str, Any] = {
    "access_token": "ghu_1",
    "expires_in": 28800,
    "refresh_token": "ghr_1",
    "refresh_token_expires_in": 15897600,
    "token_type": "bearer",
    "scope": "",
}


class StandIn:
    """github.com and api.github.com."""

    def __init__(self) -> None:
        self.user: Any = dict(OCTOCAT)
        self.emails: Any = EMAILS
        self.emails_status = 200
        self.error: str | None = None
        self.token = OAUTH_APP
        self.scope = "read:user user:email"
        self.lists: dict[str, Any] = {"/user/orgs": [], "/user/teams": []}
        """What there is of organizations and teams; a number is a status."""
        self.asked: list[str] = []
        self._codes: dict[str, str] = {}
        self.site = Starlette(routes=[Route("/login/oauth/access_token", self._token, methods=["POST"])])
        self.api = self.api_at("")

    def api_at(self, path: str) -> Starlette:
        """Return the API, at a path of its host."""
        routes = {
            "/user": self._user,
            "/user/emails": self._emails,
            "/user/orgs": self._list,
            "/user/teams": self._list,
        }
        return Starlette(routes=[Route(f"{path}{name}", endpoint) for name, endpoint in routes.items()])

    def log_in(self, url: str, host: str = "github.com", **answer: str) -> str:
        """Return where the browser is sent, since April 2026 with `iss`."""
        asked = query_of(url)
        challenge, state = asked.pop("code_challenge"), asked.pop("state")
        asked.pop("prompt", None)
        assert url.startswith(f"https://{host}/login/oauth/authorize?")
        assert asked == {
            "response_type": "code",
            "client_id": CLIENT["client_id"],
            "redirect_uri": CALLBACK,
            "scope": self.scope,
            "code_challenge_method": "S256",
        }
        code = f"{len(self._codes):020x}"
        self._codes[code] = challenge
        sent = {"code": code, "iss": f"https://{host}/login/oauth", "state": state, **answer}
        return f"{CALLBACK}?{urlencode({name: value for name, value in sent.items() if value})}"

    async def _token(self, request: Request) -> Response:
        """Errors have status 200, as they have there."""
        assert request.headers["accept"] == "application/json", "it would answer in a form"
        form = dict(parse_qsl((await request.body()).decode(), strict_parsing=True))
        if self.error is not None:
            return JSONResponse({"error": self.error, "error_description": "no", "error_uri": "/apps"})
        known = {*CLIENT, "grant_type", "code", "redirect_uri", "code_verifier"}
        if not CLIENT.items() <= form.items() or form.keys() != known or "authorization" in request.headers:
            return JSONResponse({"error": "incorrect_client_credentials"})
        if form["redirect_uri"] != CALLBACK:
            return JSONResponse({"error": "redirect_uri_mismatch"})
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = self._codes.pop(form["code"], None)
        if challenge != base64.urlsafe_b64encode(digest).decode().rstrip("="):
            return JSONResponse({"error": "bad_verification_code"})
        return JSONResponse(self.token)

    def _allowed(self, request: Request) -> bool:
        assert request.headers["user-agent"]  # without one it answers 403
        self.asked.append(request.url.path)
        return request.headers.get("authorization") == f"Bearer {self.token['access_token']}"

    async def _user(self, request: Request) -> Response:
        if not self._allowed(request):
            return JSONResponse({"message": "Bad credentials"}, 401)
        return JSONResponse(self.user)

    async def _emails(self, request: Request) -> Response:
        assert self._allowed(request)
        return JSONResponse(self.emails, self.emails_status)

    async def _list(self, request: Request) -> Response:
        assert self._allowed(request)
        there = self.lists["/user/" + request.url.path.rpartition("/")[2]]
        if isinstance(there, int):
            return JSONResponse({"message": "Resource not accessible by integration"}, there)
        query = dict(request.query_params)
        size, page = int(query.pop("per_page")), int(query.pop("page"))
        assert not query
        return JSONResponse(there[size * (page - 1) : size * page] if isinstance(there, list) else there)


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


@asynccontextmanager
async def upstream_with(provider: GitHub, allowed: Sequence[str] = (), **hosts: str) -> AsyncIterator[Upstream]:
    """Serve the pages; `hosts` are those of an enterprise, with the path of the API."""
    world = make_world(provider=provider, allowed=allowed)
    github = StandIn()
    network = Network(github_com=github.site, api_github_com=github.api)
    if hosts:
        network = Network(**{host: both(github, path) for host, path in hosts.items()})
    provider.connect(Surroundings(lambda: world.now, world.random_bytes, network))
    yield Upstream(world, github)
    for browser in world.browsers:
        await browser.aclose()


def both(github: StandIn, path: str) -> Starlette:
    """Return its pages and its API at one host."""
    return Starlette(routes=[*github.site.routes, *github.api_at(path).routes])


@pytest.fixture
async def upstream(request: pytest.FixtureRequest) -> AsyncIterator[Upstream]:
    async with upstream_with(GitHub(**CLIENT), getattr(request, "param", ())) as world:
        yield world


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
    assert (came_back.status_code, heading(came_back)) == (403, "You may not enter here")
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


async def test_a_github_app_s_tokens_end_and_have_no_scopes(upstream: Upstream) -> None:
    upstream.github.token = GITHUB_APP
    came_back, user = await upstream.log_in()
    assert (came_back.status_code, user and user.external_subject) == (303, "583231")


@pytest.mark.parametrize("error", ["access_denied", "application_suspended"])
async def test_who_does_not_agree_or_may_not_there_is_told(upstream: Upstream, error: str) -> None:
    came_back, user = await upstream.log_in(code="", error=error, error_description="no", error_uri="/apps")
    assert (came_back.status_code, heading(came_back), user) == (403, "You are not logged in", None)


def membership(organization: str, team: str | None = None) -> dict[str, Any]:
    """Return one as the API does."""
    if team is None:
        return {"login": organization, "id": 1, "node_id": "x", "description": None}
    return {"id": 1, "name": team.title(), "slug": team, "privacy": "closed", "organization": membership(organization)}


def asking() -> GitHub:
    return GitHub(**CLIENT, organizations=["ACME", "other"])


async def test_of_organizations_that_are_asked_for_the_memberships_are_known() -> None:
    async with upstream_with(asking()) as upstream:
        upstream.github.scope += " read:org"
        upstream.github.lists = {
            "/user/orgs": [membership(name) for name in ("private", "Acme")],
            "/user/teams": [membership("private", "platform"), membership("Acme", "platform"), {"slug": "odd"}],
        }
        _, user = await upstream.log_in()
    assert user is not None
    assert user.profile.claims == {
        "login": "octocat",
        "name": "The Octocat",
        "organizations": ["Acme"],
        "teams": ["Acme/platform"],
    }


async def test_without_such_a_rule_nobody_s_memberships_are_asked_for(upstream: Upstream) -> None:
    await upstream.log_in()
    assert upstream.github.asked == ["/user", "/user/emails"]


@pytest.mark.parametrize("token", [OAUTH_APP, GITHUB_APP])
async def test_memberships_that_the_app_may_not_see_are_none_and_the_log_says_so(
    token: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with upstream_with(asking()) as upstream:
        upstream.github.scope += " read:org"
        upstream.github.token = token
        upstream.github.lists = {"/user/orgs": 403, "/user/teams": 404}
        _, user = await upstream.log_in()
    assert user is not None
    assert (user.profile.claims["organizations"], user.profile.claims["teams"]) == ([], [])
    assert "login provider github: the app may not read /user/teams, so nobody is in any" in caplog.text


@pytest.mark.parametrize(("number", "pages"), [(99, 1), (250, 3), (999, 10)])
async def test_memberships_come_in_pages(number: int, pages: int) -> None:
    async with upstream_with(asking()) as upstream:
        upstream.github.scope += " read:org"
        upstream.github.lists["/user/teams"] = [membership("acme", f"{each}") for each in range(number)]
        _, user = await upstream.log_in()
    assert user is not None
    assert user.profile.claims["teams"] == [f"acme/{each}" for each in range(number)]
    assert upstream.github.asked.count("/user/teams") == pages


@pytest.mark.parametrize("teams", [{"message": "odd"}, {}, ["odd"], 500, [membership("acme", "x")] * 1000])
async def test_a_list_that_cannot_be_read_to_its_end_logs_nobody_in(teams: Any) -> None:
    async with upstream_with(asking()) as upstream:
        upstream.github.scope += " read:org"
        upstream.github.lists["/user/teams"] = teams
        came_back, user = await upstream.log_in()
    assert (came_back.status_code, user) == (503, None)


@pytest.mark.parametrize(
    ("host", "hosts"),
    [
        ("github.example.com", {"github_example_com": "/api/v3"}),
        ("company.ghe.com", {"company_ghe_com": "/none", "api_company_ghe_com": ""}),
    ],
)
async def test_an_enterprise_has_its_own_host_api_and_people(host: str, hosts: dict[str, str]) -> None:
    provider = GitHub(**CLIENT, host=host)
    async with upstream_with(provider, **hosts) as upstream:
        _, user = await upstream.log_in(host=host)
        came_back, _ = await upstream.log_in(host=host, iss=ISSUER)
    assert user is not None
    assert (user.issuer, user.external_subject, provider.label) == (f"https://{host}/login/oauth", "583231", host)
    assert came_back.status_code == 403


@pytest.mark.parametrize("host", ["", "https://github.example.com", "github.example.com/x", "a b"])
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match=r"^The host is that of a GitHub Enterprise"):
        GitHub(**CLIENT, host=host)


def test_organizations_that_rules_name_are_asked_about_beside_those_of_code() -> None:
    provider = GitHub(**CLIENT, organizations=["Other"])
    provider.connect(Surroundings(lambda: 0, bytes, Network(), frozenset({"acme"})))
    assert vars(provider).items() >= {
        ("_organizations", frozenset({"acme", "other"})),
        ("_scopes", ("read:user", "user:email", "read:org")),
    }


async def test_reaching_github_takes_any_answer_of_its_token_endpoint() -> None:
    """It says nothing of itself that could be fetched."""
    provider, stand_in = GitHub(**CLIENT), StandIn()
    provider.connect(Surroundings(lambda: 0, secrets.token_bytes, Network(github_com=stand_in.site)))
    await provider.reach()
    provider.connect(Surroundings(lambda: 0, secrets.token_bytes, Network()))
    with pytest.raises(FetchFailed):
        await provider.reach()
