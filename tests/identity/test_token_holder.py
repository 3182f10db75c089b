"""New tokens for old ones, and the end of both, as an OpenID provider and GitHub have it."""

from __future__ import annotations

import base64
import json
import logging
from typing import Any
from urllib.parse import parse_qsl

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gatepost.identity.github import GitHub
from gatepost.identity.openid_connect import OpenIDConnect
from gatepost.identity.provider import Surroundings
from gatepost.identity.token_set import TokensEnded, TokenSet, TokensUnavailable
from gatepost.outbound.fetching import FetchFailed
from tests.identity.openid_issuer import CLIENT_ID, SECRET, Network
from tests.identity.rotating_issuer import Family, RotatingIssuer

ISSUER = "https://id.example"
NOW = 1_800_000_000
LATER = "Fri, 15 Jan 2027 08:01:00 GMT"


@pytest.fixture
def issuer() -> RotatingIssuer:
    found = RotatingIssuer(ISSUER, [NOW])
    found.families.append(Family(0, ["at-0-0"], ["rt-0-0"]))
    return found


@pytest.fixture
def provider(issuer: RotatingIssuer) -> OpenIDConnect:
    made = OpenIDConnect(ISSUER, CLIENT_ID, SECRET)
    made.connect(Surroundings(lambda: NOW, bytes, Network(id_example=issuer.app)))
    return made


async def test_new_tokens_come_as_the_server_says_them(provider: OpenIDConnect, issuer: RotatingIssuer) -> None:
    issuer.refresh_lifetime = 7200
    assert await provider.refresh("rt-0-0") == TokenSet("at-0-1", "rt-0-1", None, 3600, 7200)
    issuer.rotates = False
    assert await provider.refresh("rt-0-1") == TokenSet("at-0-2", None, None, 3600)


async def test_a_refresh_token_that_is_worth_nothing_is_told_from_all_else(
    provider: OpenIDConnect, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(TokensEnded):
        await provider.refresh("rt-unknown")
    assert "rt-unknown" not in caplog.text


@pytest.mark.parametrize(
    ("answer", "retry_after", "logged"),
    [
        (Response("slow down", 429, {"retry-after": "30"}), 30, "its token endpoint answers 429"),
        (Response("{}", 429), None, "its token endpoint answers 429"),
        (JSONResponse({"error": "invalid_grant"}, 503, {"retry-after": LATER}), 60, "its token endpoint answers 503"),
        (Response("<html>", 500), None, "its token endpoint answers 500"),
        (Response("<html>", 200), None, "JSONDecodeError"),
        (Response("[]", 200), None, "its token endpoint answers 200"),
        (JSONResponse({"error": "invalid_client"}, 401), None, "its token endpoint answers 401: invalid_client"),
        (JSONResponse({"error": {"rt": "rt-0-0"}}, 400), None, "its token endpoint answers 400: an error of its own"),
        (JSONResponse({"error": "rt-0-0"}, 400), None, "its token endpoint answers 400: an error of its own"),
        (JSONResponse({"access_token": "a b"}), None, "no access token"),
        (JSONResponse({"access_token": "at", "token_type": "mac"}), None, "an access token of another type"),
        (Response("gone", 302, {"location": "https://elsewhere.example"}), None, "JSONDecodeError"),
    ],
)
async def test_whatever_else_is_answered_the_refresh_token_is_not_given_up(
    provider: OpenIDConnect,
    issuer: RotatingIssuer,
    caplog: pytest.LogCaptureFixture,
    answer: Response,
    retry_after: int | None,
    logged: str,
) -> None:
    issuer.fails_with = answer
    with caplog.at_level(logging.INFO), pytest.raises(TokensUnavailable) as failure:
        await provider.refresh("rt-0-0")
    assert failure.value.retry_after == retry_after
    assert f"login provider oidc: no new tokens: {logged}" in [record.message for record in caplog.records]
    assert "rt-0-0" not in caplog.text
    issuer.fails_with = None
    assert (await provider.refresh("rt-0-0")).access_token == "at-0-1"


async def test_where_nobody_answers_the_refresh_token_is_not_given_up(
    provider: OpenIDConnect, issuer: RotatingIssuer
) -> None:
    issuer.metadata["token_endpoint"] = "https://nobody.example/token"
    with pytest.raises(TokensUnavailable):
        await provider.refresh("rt-0-0")


@pytest.mark.parametrize(
    ("tokens", "sent"),
    [
        (TokenSet("at-0-0", "rt-0-0"), {"token": "rt-0-0", "token_type_hint": "refresh_token"}),
        (TokenSet("at-0-0"), {"token": "at-0-0", "token_type_hint": "access_token"}),
    ],
)
async def test_tokens_are_ended_at_the_server(
    provider: OpenIDConnect, issuer: RotatingIssuer, tokens: TokenSet, sent: dict[str, str]
) -> None:
    assert await provider.revoke(tokens)
    assert issuer.revoked == [sent]
    assert issuer.families[0].is_ended


async def test_a_server_without_a_way_for_that_is_not_asked(provider: OpenIDConnect, issuer: RotatingIssuer) -> None:
    del issuer.metadata["revocation_endpoint"]
    assert not await provider.revoke(TokenSet("at-0-0"))


@pytest.mark.parametrize("url", ["https://nobody.example/revoke", f"{ISSUER}/nowhere"])
async def test_a_server_that_does_not_end_them_is_noticed(
    provider: OpenIDConnect, issuer: RotatingIssuer, url: str
) -> None:
    issuer.metadata["revocation_endpoint"] = url
    with pytest.raises(FetchFailed):
        await provider.revoke(TokenSet("at-0-0"))


class GitHubOfAnApp:
    """What GitHub does for an app whose tokens expire; its errors have status 200."""

    def __init__(self) -> None:
        self.grants = {"ghu_1": "ghr_1"}
        self.is_over = False
        """Whether the first access token is."""
        self.is_down = False
        self.site = Starlette(routes=[Route("/login/oauth/access_token", self._token, methods=["POST"])])
        grant = "/applications/Iv1.0123/grant"
        self.api = Starlette(routes=[Route(grant, self._delete, methods=["DELETE"])])

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(), strict_parsing=True))
        assert request.headers["accept"] == "application/json", "it would answer in a form"
        expected = {"client_id": "Iv1.0123", "client_secret": "5ecre7", "grant_type": "refresh_token"}
        assert {name: value for name, value in form.items() if name != "refresh_token"} == expected
        if self.is_down:
            return Response(status_code=502)
        if form["refresh_token"] not in self.grants.values():
            said = "The refresh token passed is incorrect or expired."
            return JSONResponse({"error": "bad_refresh_token", "error_description": said, "error_uri": "/apps"})
        self.grants = {"ghu_2": "ghr_2"}
        return JSONResponse(
            {
                "access_token": "ghu_2",
                "expires_in": 28800,
                "refresh_token": "ghr_2",
                "refresh_token_expires_in": 15897600,
                "scope": "",
                "token_type": "bearer",
            }
        )

    async def _delete(self, request: Request) -> Response:
        kind, _, pair = request.headers["authorization"].partition(" ")
        assert (kind, base64.b64decode(pair)) == ("Basic", b"Iv1.0123:5ecre7")
        token = json.loads(await request.body())["access_token"]
        if self.is_over and token == "ghu_1":
            return JSONResponse({"message": "Not Found"}, 404)
        return Response(status_code=204 if self.grants.pop(token, None) else 404)


def at(site: GitHubOfAnApp, **hosts: Any) -> GitHub:
    made = GitHub("Iv1.0123", "5ecre7")
    network = Network(github_com=site.site, api_github_com=site.api, **hosts)
    made.connect(Surroundings(lambda: NOW, bytes, network))
    return made


async def test_github_replaces_both_tokens_and_says_with_status_200_that_one_is_over() -> None:
    provider = at(GitHubOfAnApp())
    assert await provider.refresh("ghr_1") == TokenSet("ghu_2", "ghr_2", (), 28800, 15897600)
    with pytest.raises(TokensEnded):
        await provider.refresh("ghr_1")


async def test_at_github_all_that_the_app_may_do_for_the_person_is_ended() -> None:
    site = GitHubOfAnApp()
    provider = at(site)
    assert await provider.revoke(TokenSet("ghu_1", "ghr_1"))
    assert site.grants == {}
    with pytest.raises(FetchFailed):
        await provider.revoke(TokenSet("gho_of_an_oauth_app"))


async def test_at_github_a_grant_is_ended_also_where_the_access_token_is_over() -> None:
    site = GitHubOfAnApp()
    site.is_over = True
    provider = at(site)
    assert await provider.revoke(TokenSet("ghu_1", "ghr_1"))
    assert site.grants == {}
    assert await provider.revoke(TokenSet("ghu_1", "ghr_1")), "that the refresh token is over says that all is"
    site.is_down = True
    with pytest.raises(FetchFailed):
        await provider.revoke(TokenSet("ghu_1", "ghr_1"))


def test_tokens_are_forgotten_unless_it_is_said_otherwise() -> None:
    assert not GitHub("a", "b").keeps_tokens
    assert GitHub("a", "b", keep_tokens=True).keeps_tokens
    assert not OpenIDConnect(ISSUER, "a").keeps_tokens
    assert OpenIDConnect(ISSUER, "a", keep_tokens=True).keeps_tokens
