"""Programs that are one JSON-RPC function, written for a service around such, run with their imports renamed."""

from __future__ import annotations

import base64
import hashlib
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from gatepost import SingleUserProvider, create_app
from gatepost.configuration.settings import load_settings
from tests.end_to_end.local_http import get, post
from tests.end_to_end.running_server import RunningServer
from tests.seeds.caller import Caller, caller_of
from tests.seeds.person import person_at
from tests.seeds.programs.json_rpc_handler import my_handler

PROGRAM = "tests.seeds.programs.json_rpc_handler"
NO_AUTH = {"MCP_REQUIRE_AUTH": "false", "OAUTH_ENABLED": "false"}
FINANCE = "portfolio:read portfolio:write trades:execute admin"


def message(method: str, number: int | None = 1, **params: Any) -> dict[str, Any]:
    numbered = {} if number is None else {"id": number}
    return {"jsonrpc": "2.0", **numbered, "method": method, "params": params}


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """`python program.py`, for local development without authentication."""
    with RunningServer("", tmp_path_factory.mktemp("open"), module=PROGRAM, environment=NO_AUTH) as server:
        yield server


def test_the_program_serves_itself_and_says_that_it_is_well(open_server: RunningServer) -> None:
    for path in ("/health", "/healthz"):
        health = get(f"{open_server.origin}{path}")
        assert (health.status_code, health.json()["status"]) == (200, "ok")
    assert get(f"{open_server.origin}/health").json()["server"] == "My MCP Server"


def test_a_plain_post_of_a_request_is_answered_by_the_function(open_server: RunningServer) -> None:
    answer = post(open_server.mcp_url, json=message("tools/list"))
    assert answer.status_code == 200
    # What clients demand of a tool and the function leaves out is added.
    assert answer.json()["result"]["tools"][0] == {
        "name": "ping",
        "description": "Returns pong",
        "inputSchema": {"type": "object"},
    }
    called = post(open_server.mcp_url, json=message("tools/call", 2, name="ping"))
    assert called.json()["result"]["content"] == [{"type": "text", "text": "pong"}]


def test_none_is_the_answer_to_a_notification_and_an_exception_is_a_json_rpc_error(open_server: RunningServer) -> None:
    noticed = post(open_server.mcp_url, json=message("notifications/initialized", None))
    assert (noticed.status_code, noticed.content) == (202, b"")
    failed = post(open_server.mcp_url, json=message("tools/call", 3, name="crash"))
    assert failed.json()["error"]["code"] == -32603
    assert "on fire" not in failed.text
    assert post(open_server.mcp_url, json=message("no/such")).json()["error"]["code"] == -32601


def test_the_api_is_described(open_server: RunningServer) -> None:
    for path in ("/docs", "/redoc"):
        assert get(f"{open_server.origin}{path}").headers["content-type"].startswith("text/html")
    described = get(f"{open_server.origin}/openapi.json").json()["paths"]["/mcp"]
    assert described["post"]["summary"].startswith("Send a JSON-RPC message")
    sent = described["post"]["requestBody"]["content"]["application/json"]["example"]
    assert post(open_server.mcp_url, json=sent).status_code == 200


def test_the_command_serves_what_a_variable_names(tmp_path: Path) -> None:
    named = {**NO_AUTH, "MCP_HANDLER": f"{PROGRAM}:my_handler"}
    with RunningServer("", tmp_path, module="gatepost", environment=named) as server:
        assert post(server.mcp_url, json=message("tools/list")).json()["result"]["tools"][0]["name"] == "ping"


async def test_an_app_of_it_is_served_by_whatever_serves_apps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {**NO_AUTH, "OAUTH_STORAGE_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    sys.modules.pop("tests.seeds.programs.json_rpc_app", None)
    from tests.seeds.programs.json_rpc_app import app  # noqa: PLC0415 - it reads the environment when it is imported

    async with caller_of(app) as caller:
        assert (await caller.http.get("/health")).json()["server"] == "My Server"
        assert (await caller.http.post("/mcp", json=message("tools/list"))).status_code == 200


async def test_a_small_client_registers_is_approved_and_calls() -> None:
    """Without a login and with automatic approval, on loopback: register, authorize, exchange, call, refresh."""
    settings = load_settings({"MCP_STORAGE_URL": "memory:", "OAUTH_AUTO_APPROVE": "true"}, env_file=None)
    app = create_app(my_handler, provider=SingleUserProvider(), settings=settings, announce=lambda _: None)
    async with caller_of(app) as caller:
        http, callback = caller.http, "http://localhost:9999/cb"
        verifier = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        metadata = (await http.get("/.well-known/oauth-authorization-server")).json()
        assert metadata["code_challenge_methods_supported"] == ["S256"]
        client = (await http.post("/oauth/register", json={"client_name": "demo", "redirect_uris": [callback]})).json()
        query = {
            "response_type": "code",
            "client_id": client["client_id"],
            "redirect_uri": callback,
            "state": "xyz",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        sent_back = await http.get("/oauth/authorize", params=query)
        assert sent_back.status_code == 303  # and not 302: RFC 9700 section 4.12
        answer = parse_qs(urlsplit(sent_back.headers["location"]).query)
        assert answer["state"] == ["xyz"]
        form = {
            "grant_type": "authorization_code",
            "client_id": client["client_id"],  # which OAuth 2.1 wants of public clients
            "code": answer["code"][0],
            "redirect_uri": callback,
            "code_verifier": verifier,
        }
        assert (await http.post("/oauth/token", data={**form, "code_verifier": "x" * 43})).json()["error"] == (
            "invalid_grant"
        )
        tokens = (await http.post("/oauth/token", data=form)).json()
        assert {"access_token", "refresh_token", "expires_in"} <= tokens.keys()
        assert tokens["scope"].split() == ["mcp:read", "mcp:write", "mcp:admin"]
        assert await listed(caller, tokens["access_token"]) == "ping"

        refresh = {"grant_type": "refresh_token", "client_id": client["client_id"]}
        renewed = (await http.post("/oauth/token", data={**refresh, "refresh_token": tokens["refresh_token"]})).json()
        assert renewed["refresh_token"] != tokens["refresh_token"]
        assert await listed(caller, renewed["access_token"]) == "ping"


async def listed(caller: Caller, token: str) -> str:
    headers = {"Authorization": f"Bearer {token}"}
    answer = await caller.http.post("/mcp", json=message("tools/list"), headers=headers)
    name: str = answer.json()["result"]["tools"][0]["name"]
    return name


async def test_scopes_of_your_own_are_shown_granted_and_handed_to_the_function() -> None:
    variables = {"MCP_STORAGE_URL": "memory:", "OAUTH_SUPPORTED_SCOPES": FINANCE, "ADMIN_PASSWORD": "four odd words"}
    settings = load_settings(variables, env_file=None)
    app = create_app(my_handler, settings=settings, announce=lambda _: None)
    async with person_at(app) as person:
        for path in ("oauth-authorization-server", "oauth-protected-resource"):
            metadata = (await person.http.get(f"/.well-known/{path}")).json()
            assert metadata["scopes_supported"] == FINANCE.split()

        async def trade(scope: str) -> dict[str, Any]:
            person.http.cookies.clear()
            logged_in = await person.submit(await person.arrive(scope=scope), password="four odd words")
            consent = (await person.http.get(logged_in.headers["location"])).text
            assert all(f"<code>{each}</code>" in consent or each in consent for each in scope.split())
            token = await person.allow(logged_in)
            assert person.tokens["scope"] == scope
            sent = message("tools/call", name="execute_trade")
            headers = {"Authorization": f"Bearer {token}"}
            answer: dict[str, Any] = (await person.http.post("/mcp", json=sent, headers=headers)).json()
            return answer

        assert (await trade("portfolio:read"))["error"]["message"] == "missing required scope: trades:execute"
        assert (await trade("trades:execute"))["result"]["content"][0]["text"].startswith("traded for ")


async def test_in_production_a_static_key_and_the_built_in_server_both_count(tmp_path: Path) -> None:
    key = secrets.token_urlsafe(32)
    variables = {
        "MCP_PORT": "8000",
        "MCP_REQUIRE_AUTH": "true",
        "OAUTH_ENABLED": "true",
        "OAUTH_AUTO_APPROVE": "false",
        "OAUTH_STORAGE_DIR": str(tmp_path),
        "MCP_API_KEY": key,
    }
    app = create_app(my_handler, settings=load_settings(variables, env_file=None), announce=lambda _: None)
    async with caller_of(app) as caller:
        assert await listed(caller, key) == "ping"
        refused = await caller.http.post("/mcp", json=message("tools/list"))
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Bearer ")
        wrong = await caller.http.post("/mcp", json=message("tools/list"), headers={"Authorization": "Bearer x"})
        assert 'error="invalid_token"' in wrong.headers["www-authenticate"]


def test_every_variable_of_the_table_is_taken_with_its_value(tmp_path: Path) -> None:
    table = {
        "MCP_PORT": "8000",
        "MCP_REQUIRE_AUTH": "false",
        "MCP_API_KEY": "k" * 24,
        "OAUTH_ENABLED": "true",
        "OAUTH_ENABLE_AS": "true",
        "OAUTH_AUTO_APPROVE": "true",
        "OAUTH_STORAGE_DIR": str(tmp_path),
        "OAUTH_ACCESS_TOKEN_TTL": "3600",
        "OAUTH_REFRESH_TOKEN_TTL": "2592000",
        "OAUTH_AUTH_CODE_TTL": "600",
        "OAUTH_SUPPORTED_SCOPES": "mcp:read mcp:write mcp:admin",
        "OAUTH_ISSUER": "https://tenant.example.com/",
        "OAUTH_AUDIENCE": "https://mcp.example.com",
        "OAUTH_JWKS_URI": "https://tenant.example.com/.well-known/jwks.json",
        "OAUTH_ALGORITHM": "RS256",
        "OAUTH_VERIFY_SIGNATURE": "true",
        "OAUTH_VERIFY_AUDIENCE": "false",
        "OAUTH_VERIFY_ISSUER": "false",
        "OAUTH_VERIFY_EXP": "true",
        "OAUTH_REQUIRED_SCOPE": "mcp:read",
        "JWT_SECRET": "",
    }
    settings = load_settings(table, env_file=None)
    assert (settings.server.port, settings.oauth.authorization_code_ttl) == (8000, 600)
    assert settings.warnings == ()


def test_an_address_that_is_taken_is_one_sentence(open_server: RunningServer, tmp_path: Path) -> None:
    second = RunningServer("", tmp_path, module=PROGRAM, environment=NO_AUTH, port=open_server.port)
    with pytest.raises(AssertionError, match=f"gatepost: .*{open_server.port}"):
        second.start()
    assert second.stop() == 2


async def test_in_production_an_issuer_elsewhere_is_named_and_there_is_no_server_of_our_own(tmp_path: Path) -> None:
    block = {
        "MCP_REQUIRE_AUTH": "true",
        "OAUTH_ENABLED": "false",
        "OAUTH_ISSUER": "https://your-tenant.auth0.com/",
        "OAUTH_AUDIENCE": "https://mcp.yourcompany.com",
        "OAUTH_JWKS_URI": "https://your-tenant.auth0.com/.well-known/jwks.json",
        "OAUTH_VERIFY_AUDIENCE": "true",
        "OAUTH_VERIFY_ISSUER": "true",
        "OAUTH_STORAGE_DIR": str(tmp_path),
    }
    app = create_app(my_handler, settings=load_settings(block, env_file=None), announce=lambda _: None)
    async with caller_of(app) as caller:
        described = (await caller.http.get("/.well-known/oauth-protected-resource")).json()
        assert described["authorization_servers"] == ["https://your-tenant.auth0.com/"]
        assert (await caller.http.get("/.well-known/oauth-authorization-server")).status_code == 404
        assert (await caller.http.post("/mcp", json=message("tools/list"))).status_code == 401


async def test_a_shared_secret_vouches_for_tokens_where_there_is_no_jwks(tmp_path: Path) -> None:
    secret = secrets.token_urlsafe(32)
    variables = {
        "OAUTH_ENABLED": "false",
        "OAUTH_ISSUER": "https://issuer.example.com",
        "OAUTH_AUDIENCE": "finance",
        "OAUTH_ALGORITHM": "HS256",
        "JWT_SECRET": secret,
        "OAUTH_SUPPORTED_SCOPES": FINANCE,
        "OAUTH_STORAGE_DIR": str(tmp_path),
    }
    now = int(time.time())
    claims = {"iss": "https://issuer.example.com", "aud": "finance", "sub": "ada", "iat": now, "exp": now + 60}
    app = create_app(my_handler, settings=load_settings(variables, env_file=None), announce=lambda _: None)
    async with caller_of(app) as caller:

        async def traded(key: str, **more: Any) -> httpx2.Response:
            token = jwt.encode({"alg": "HS256"}, {**claims, "scope": "trades:execute", **more}, OctKey.import_key(key))
            headers = {"Authorization": f"Bearer {token}"}
            return await caller.http.post("/mcp", json=message("tools/call", name="execute_trade"), headers=headers)

        assert (await traded(secret)).json()["result"]["content"][0]["text"] == "traded for ada"
        assert "error" in (await traded(secret, scope="portfolio:read")).json()
        for refused in (await traded(secrets.token_urlsafe(32)), await traded(secret, exp=1)):
            assert refused.status_code == 401
