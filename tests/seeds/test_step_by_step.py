"""A guarded server in nine steps, from a health endpoint to tools that know who calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from gatepost import create_app
from gatepost.configuration.settings import Settings, load_settings
from tests.end_to_end.local_http import get, post
from tests.end_to_end.running_server import REPOSITORY, RunningServer
from tests.seeds.caller import Caller, caller_of, text_of
from tests.seeds.programs import steps

KEY = RSAKey.generate_key(2048, parameters={"kid": "step"})
ALL = "mcp:read mcp:tools mcp:prompts"


def settings_of(**variables: str) -> Settings:
    return load_settings({"MCP_STORAGE_URL": "memory:", **variables}, env_file=None)


def open_app(target: Any) -> Any:
    settings = settings_of(MCP_REQUIRE_AUTH="false", OAUTH_ENABLED="false")
    return create_app(target, settings=settings, announce=lambda _: None)


def token_of(username: str, scopes: str, *roles: str, **changes: Any) -> str:
    """Sign a token as a script outside of the server would."""
    now = int(time.time())
    claims = {"iss": "https://issuer.example.com", "aud": "mcp-server", "iat": now, "exp": now + 3600}
    said = {**claims, "sub": username, "scope": scopes, "roles": list(roles), **changes}
    return jwt.encode({"alg": "RS256", "kid": "step"}, said, KEY)


def app_with_a_key_file(tmp_path: Path) -> Any:
    (tmp_path / "public.pem").write_bytes(KEY.as_pem(private=False))
    return create_app(
        steps.guarded(),
        settings=settings_of(OAUTH_ENABLE_AS="false"),
        external=steps.issuer(tmp_path / "public.pem"),
        roles=steps.ROLES,
        announce=lambda _: None,
    )


async def test_step_1_is_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OAUTH_STORAGE_DIR", str(tmp_path))
    async with caller_of(steps.step_1()) as caller:
        health = (await caller.http.get("/health")).json()
        assert (health["status"], health["server"]) == ("ok", "step-1")


async def test_step_2_takes_requests_as_json_rpc_and_refuses_what_is_none() -> None:
    async with caller_of(open_app(steps.handle_requests)) as caller:
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "curl", "version": "1"}}
        hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
        said = (await caller.http.post("/mcp", json=hello)).json()
        assert said["result"]["serverInfo"]["name"] == "step-2"
        wrong = await caller.http.post("/mcp", json={"method": "initialize"})
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, -32600)
        assert (await caller.ask("no/such")).json()["error"]["code"] == -32601


async def test_step_3_lists_definitions_and_calls_nothing() -> None:
    async with caller_of(open_app(steps.list_definitions)) as caller:
        assert await caller.names("tools") == ["echo", "get_time"]
        assert await caller.names("prompts") == ["greeting", "help"]
        refused = await caller.ask("tools/call", name="echo", arguments={})
        assert refused.json()["error"]["code"] == -32601


async def test_step_4_runs_tools_and_writes_prompts() -> None:
    async with caller_of(open_app(steps.step_4())) as caller:
        assert text_of(await caller.call("echo", message="hello")) == "hello"
        assert text_of(await caller.call("get_time")).startswith("20")
        written = await caller.result("prompts/get", name="greeting", arguments={"name": "Ada"})
        assert written["messages"][0]["content"]["text"] == "Greet Ada."
        assert (await caller.result("prompts/get", name="help", arguments={}))["messages"]
        assert (await caller.call("echo"))["isError"]
        assert (await caller.ask("tools/call", name="absent", arguments={})).json()["error"]["code"] == -32602


@pytest.fixture(scope="module")
def minting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose tokens are JWTs that anybody can check with its keys."""
    signed = {"OAUTH_ACCESS_TOKEN_FORMAT": "jwt"}
    data = tmp_path_factory.mktemp("minting")
    with RunningServer("tests/seeds/programs/steps.py:server", data, environment=signed) as server:
        yield server


def minted(server: RunningServer, username: str, scopes: str) -> str:
    command = [sys.executable, "-m", "gatepost", "token", "mint", "--subject", username, "--scopes", scopes]
    environment = {**os.environ, "OAUTH_STORAGE_DIR": str(server.data), "MCP_PORT": str(server.port)}
    return subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**environment, "OAUTH_ACCESS_TOKEN_FORMAT": "jwt"},
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    ).stdout.strip()


def test_step_5_publishes_its_keys_and_a_command_makes_tokens(minting: RunningServer) -> None:
    keys = get(f"{minting.origin}/.well-known/jwks.json").json()["keys"]
    assert keys
    assert "d" not in keys[0]
    token = minted(minting, "alice", "mcp:read,mcp:tools")
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    listed = post(minting.mcp_url, json=call, headers={"Authorization": f"Bearer {token}"}).json()
    assert [tool["name"] for tool in listed["result"]["tools"]] == ["echo", "whoami"]
    nothing = post(minting.mcp_url, json=call, headers={"Authorization": f"Bearer {minted(minting, 'guest', '')}"})
    assert nothing.json()["result"]["tools"] == []


async def test_step_6_demands_a_valid_token_and_says_what_is_wrong(tmp_path: Path) -> None:
    stranger = RSAKey.generate_key(2048, parameters={"kid": "step"})
    async with caller_of(app_with_a_key_file(tmp_path)) as caller:
        assert text_of(await caller.call("echo", token_of("alice", ALL, "user"), message="hi")) == "alice: hi"
        missing = await caller.ask("tools/list")
        assert (missing.status_code, "error=" in missing.headers["www-authenticate"]) == (401, False)
        forged = jwt.encode({"alg": "RS256", "kid": "step"}, {"sub": "eve", "exp": int(time.time()) + 60}, stranger)
        for wrong in (
            token_of("alice", ALL, "user", exp=1),
            token_of("alice", ALL, "user", aud="other"),
            forged,
            "no token",
        ):
            refused = await caller.ask("tools/list", wrong)
            assert refused.status_code == 401
            assert "WWW-Authenticate" in refused.headers


def test_step_7_publishes_metadata_and_health_says_where_it_is(minting: RunningServer) -> None:
    resource = get(f"{minting.origin}/.well-known/oauth-protected-resource").json()
    assert (resource["resource"], resource["authorization_servers"]) == (minting.mcp_url, [minting.origin])
    server = get(f"{minting.origin}/.well-known/oauth-authorization-server").json()
    assert (server["issuer"], server["jwks_uri"]) == (minting.origin, f"{minting.origin}/oauth/jwks")
    health = get(f"{minting.origin}/health").json()
    assert (health["issuer"], health["resources"]) == (minting.origin, [minting.mcp_url])


async def test_step_8_gives_each_role_its_scopes_and_answers_403_beyond_them(tmp_path: Path) -> None:
    async with caller_of(app_with_a_key_file(tmp_path)) as caller:

        async def statuses(token: str) -> list[int]:
            calls: list[tuple[str, str, dict[str, str]]] = [
                ("tools/call", "whoami", {}),
                ("tools/call", "echo", {"message": "hi"}),
                ("prompts/get", "greeting", {}),
            ]
            return [
                (await caller.ask(method, token, name=name, arguments=given)).status_code
                for method, name, given in calls
            ]

        assert await statuses(token_of("root", ALL, "admin")) == [200, 200, 200]
        assert await statuses(token_of("alice", ALL, "user")) == [200, 200, 403]
        assert await statuses(token_of("bob", "mcp:read mcp:prompts", "user")) == [200, 403, 403]
        assert await statuses(token_of("guest", ALL, "guest")) == [200, 403, 403]
        assert await statuses(token_of("guest", "", "guest")) == [403, 403, 403]
        refused = await caller.ask("tools/call", token_of("guest", ALL, "guest"), name="echo", arguments={})
        assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
        assert 'scope="mcp:tools"' in refused.headers["www-authenticate"]


async def test_step_9_tools_and_prompts_know_who_calls(tmp_path: Path) -> None:
    async with caller_of(app_with_a_key_file(tmp_path)) as caller:
        token = token_of("alice", ALL, "admin", name="Alice")
        said = json.loads(text_of(await caller.call("whoami", token)))
        assert said == {"user": "alice", "roles": ["admin"], "scopes": sorted(ALL.split())}
        assert await greeted(caller, token) == "Greet Alice, who is admin."


async def greeted(caller: Caller, token: str) -> str:
    written = await caller.result("prompts/get", token, name="greeting", arguments={})
    text: str = written["messages"][0]["content"]["text"]
    return text
