"""Clients that find no metadata go to /authorize, /token and /register."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.staticfiles import StaticFiles

from gatepost import Server, SingleUserProvider, create_app
from gatepost.configuration.settings import load_settings
from tests.attacks.installed import CHALLENGE, ORIGIN, VERIFIER

CALLBACK = "http://127.0.0.1:9/callback"


def app_with(**variables: str) -> FastAPI:
    settings = load_settings({"MCP_STORAGE_URL": "memory:", **variables}, env_file=None)
    provider = SingleUserProvider() if settings.issues_tokens else None
    return create_app(Server("notes"), settings=settings, provider=provider, announce=lambda _: None)


async def ask(app: FastAPI, method: str, path: str, *, origin: str = ORIGIN, **options: object) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url=origin) as http:
        return await http.request(method, path, **options)  # type: ignore[arg-type]  # those of httpx2


@pytest.mark.parametrize("origin", [ORIGIN, "http://localhost:8000"])
async def test_the_whole_flow_goes_by_the_short_addresses_at_every_name(origin: str) -> None:
    app = app_with()
    transport = httpx2.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url=origin) as http:
        client_id = (await http.post("/register", json={"redirect_uris": [CALLBACK]})).json()["client_id"]
        query = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": CALLBACK,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        answer = await http.get(f"/authorize?{urlencode(query)}")
        came_back = parse_qs(urlsplit(answer.headers["location"]).query)
        assert came_back["iss"] == [origin]
        form = {
            "grant_type": "authorization_code",
            "client_id": client_id,
            "code": came_back["code"][0],
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        }
        tokens = (await http.post("/token", data=form)).json()
        assert tokens["token_type"] == "Bearer"
        refresh = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": tokens["refresh_token"]}
        assert (await http.post("/token", data=refresh)).status_code == 200


async def test_programs_in_pages_of_any_origin_may_read_all_but_the_page() -> None:
    page = {"Origin": "https://inspector.example"}
    app = app_with()
    assert (await ask(app, "POST", "/token", headers=page)).headers["access-control-allow-origin"] == "*"
    preflight = {**page, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    assert (await ask(app, "OPTIONS", "/register", headers=preflight)).status_code == 200
    assert "access-control-allow-origin" not in (await ask(app, "GET", "/authorize", headers=page)).headers


@pytest.mark.parametrize("path", ["/token", "/register", "/authorize"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_the_operator_serves_there_goes_first_for_every_method(path: str, method: str) -> None:
    app = app_with()

    @app.api_route(path, methods=["POST"])
    async def own() -> PlainTextResponse:
        return PlainTextResponse("own")

    answer = await ask(app, method, path, headers={"Origin": "https://inspector.example"})
    assert (answer.status_code, answer.text == "own") == ((200, True) if method == "POST" else (405, False))
    assert "access-control-allow-origin" not in answer.headers


async def test_a_site_of_the_operators_at_the_root_goes_first(tmp_path: object) -> None:
    app = app_with()
    app.mount("/", StaticFiles(directory=str(tmp_path)))

    answer = await ask(app, "GET", "/authorize")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")


async def test_an_mcp_endpoint_of_such_a_name_goes_first() -> None:
    settings = load_settings({"MCP_STORAGE_URL": "memory:"}, env_file=None)
    app = create_app({"/token": Server("notes")}, settings=settings, announce=lambda _: None)

    assert (await ask(app, "POST", "/token")).headers["www-authenticate"].startswith("Bearer ")


async def test_without_an_authorization_server_nothing_is_there() -> None:
    app = app_with(OAUTH_ENABLED="false", MCP_REQUIRE_AUTH="false")

    for path in ("/token", "/register", "/authorize"):
        assert (await ask(app, "GET", path)).status_code == 404


async def test_the_keys_are_at_the_usual_address_too() -> None:
    app = app_with(OAUTH_ACCESS_TOKEN_FORMAT="jwt")

    usual, named = await ask(app, "GET", "/.well-known/jwks.json"), await ask(app, "GET", "/oauth/jwks")
    assert usual.json() == named.json()
    assert [key["use"] for key in usual.json()["keys"]] == ["sig"]
    assert usual.headers["cache-control"] == named.headers["cache-control"]
