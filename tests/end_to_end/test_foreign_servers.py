"""Servers of FastMCP and of the official SDK behind Gatepost, called by those libraries' own clients in both eras."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastmcp import Client as FastMCPClient
from fastmcp.client.auth import BearerAuth
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.end_to_end import local_http
from tests.end_to_end.local_http import PATIENCE
from tests.end_to_end.running_server import REPOSITORY, RunningServer

SDK_SERVERS = ["/high", "/low"]
PATHS = ["/fastmcp", *SDK_SERVERS, "/app/mcp"]
ERAS = ["2026-07-28", "legacy"]
JSON = {"Accept": "application/json, text/event-stream"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    data = tmp_path_factory.mktemp("foreign") / "data"
    with RunningServer("tests/end_to_end/foreign_servers.py:endpoints", data) as running:
        yield running


class Tokens:
    """Access tokens that `gatepost token mint` makes, each once."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._made: dict[tuple[str, ...], str] = {}

    def __call__(self, path: str, scopes: str, subject: str = "ann") -> str:
        resource = "/app" if path.startswith("/app") else path
        key = (resource, scopes, subject)
        if key not in self._made:
            command = [sys.executable, "-m", "gatepost", "token", "mint", "--subject", subject, "--scopes", scopes]
            environment = {
                **os.environ,
                "OAUTH_STORAGE_DIR": str(self._server.data),
                "MCP_PORT": str(self._server.port),
            }
            made = subprocess.run(
                [*command, "--resource", resource],
                env=environment,
                cwd=REPOSITORY,
                capture_output=True,
                text=True,
                check=True,
                timeout=PATIENCE,
            )
            self._made[key] = made.stdout.strip()
        return self._made[key]


@pytest.fixture(scope="module")
def tokens(server: RunningServer) -> Tokens:
    return Tokens(server)


@asynccontextmanager
async def connected(server: RunningServer, path: str, token: str, mode: str) -> AsyncIterator[Client]:
    """The official client."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        local_http.async_client(headers=headers) as http,
        Client(streamable_http_client(server.origin + path, http_client=http), mode=mode) as client,
    ):
        yield client


def ask(server: RunningServer, path: str, token: str, method: str, **params: Any) -> httpx2.Response:
    """Send one message of the modern era by hand."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    named = params.get("name") or params.get("uri")
    return local_http.post(
        server.origin + path,
        json={"jsonrpc": "2.0", "id": 7, "method": method, "params": {**params, "_meta": meta}},
        headers={
            **JSON,
            "Authorization": f"Bearer {token}",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": method,
            **({} if named is None else {"Mcp-Name": named}),
        },
    )


def structured(result: Any) -> Any:
    return result.structured_content


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("path", PATHS)
async def test_the_server_sees_the_caller_and_never_the_token(
    server: RunningServer, tokens: Tokens, path: str, mode: str
) -> None:
    token = tokens(path, "notes:read")
    async with connected(server, path, token, mode) as client:
        said = structured(await client.call_tool("whoami", {}))

    stand_in = said.pop("token")
    assert said == {
        "subject": "ann",
        "client": "gatepost-cli",
        "scopes": ["notes:read"],
        "has_expiry": True,
        "issuer": server.origin,
        "user": "ann",
        "granted": ["notes:read"],
        "credentials": [],
    }
    assert stand_in.startswith("withheld-")
    assert token not in stand_in


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("path", PATHS)
async def test_lists_show_what_the_caller_may_use(server: RunningServer, tokens: Tokens, path: str, mode: str) -> None:
    shown: dict[str, tuple[list[str], ...]] = {}
    for scopes in ("notes:read", "notes:write", "notes:admin notes:read"):
        async with connected(server, path, tokens(path, scopes), mode) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            if path == "/low":
                shown[scopes] = (tools, [], [], [])
                continue
            resources = [str(resource.uri) for resource in (await client.list_resources()).resources]
            templates = [
                template.uri_template for template in (await client.list_resource_templates()).resource_templates
            ]
            prompts = [prompt.name for prompt in (await client.list_prompts()).prompts]
            shown[scopes] = (tools, resources, templates, prompts)

    templates, secret, prompts = (
        ([], [], []) if path == "/low" else (["notes://{number}"], ["notes://secret"], ["review"])
    )
    assert shown == {
        "notes:read": (["whoami", "opened"], [], templates, []),
        "notes:write": (["delete", "opened"], [], [], prompts),
        "notes:admin notes:read": (["whoami", "delete", "new", "opened"], secret, templates, []),
    }


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("path", PATHS)
async def test_the_lifespan_of_the_server_runs(server: RunningServer, tokens: Tokens, path: str, mode: str) -> None:
    async with connected(server, path, tokens(path, "notes:read"), mode) as client:
        result = await client.call_tool("opened", {})

    assert structured(result) == {"result": "by its lifespan"}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("method", "params", "needed"),
    [
        ("tools/call", {"name": "delete", "arguments": {"number": 1}}, "notes:write"),
        ("tools/call", {"name": "new", "arguments": {}}, "notes:admin"),
        ("tools/call", {"name": "unknown", "arguments": {}}, "notes:admin"),
        ("resources/read", {"uri": "notes://secret"}, "notes:read notes:admin"),
        ("resources/read", {"uri": "notes://../secret"}, "notes:read notes:admin"),
        ("resources/read", {"uri": "notes://secret?x=1"}, "notes:read notes:admin"),
        ("prompts/get", {"name": "review"}, "notes:write"),
        ("own/method", {}, "notes:admin"),
    ],
)
def test_too_few_scopes_are_403_with_all_that_is_needed(
    server: RunningServer, tokens: Tokens, path: str, method: str, params: dict[str, Any], needed: str
) -> None:
    answer = ask(server, path, tokens(path, "notes:read"), method, **params)

    resource = "/app" if path.startswith("/app") else path
    metadata = f"{server.origin}/.well-known/oauth-protected-resource{resource}"
    assert answer.status_code == 403
    assert answer.headers["www-authenticate"] == (
        'Bearer error="insufficient_scope", '
        'error_description="The access token lacks a scope that this operation needs.", '
        f'resource_metadata="{metadata}", scope="{needed}"'
    )
    assert answer.json() == {
        "jsonrpc": "2.0",
        "id": 7,
        "error": {
            "code": -32600,
            "message": "The access token lacks a scope that this operation needs.",
            "data": {"error": "insufficient_scope", "scope": " ".join(sorted(needed.split()))},
        },
    }


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("path", PATHS)
async def test_callers_at_the_same_time_are_each_themselves(
    server: RunningServer, tokens: Tokens, path: str, mode: str
) -> None:
    people = ["ann", "ben", "cat"]

    async def said(person: str, turn: int) -> tuple[str, str]:
        async with connected(server, path, tokens(path, "notes:read", person), mode) as client:
            said = structured(await client.call_tool("whoami", {"seconds": 0.01 * (turn % 3)}))
        return said["subject"], said["token"]

    turns = [person for _ in range(4) for person in people]
    found = await asyncio.gather(*(said(person, turn) for turn, person in enumerate(turns)))

    assert [subject for subject, _ in found] == turns
    assert len({stand_in for _, stand_in in found}) == len(people)


@pytest.mark.parametrize("path", PATHS)
def test_a_session_is_not_found_by_another_person(server: RunningServer, tokens: Tokens, path: str) -> None:
    def post(token: str, message: dict[str, Any], session: str | None = None) -> httpx2.Response:
        headers = {**JSON, "Authorization": f"Bearer {token}", "MCP-Protocol-Version": "2025-11-25"}
        return local_http.post(
            server.origin + path,
            json={"jsonrpc": "2.0", **message},
            headers={**headers, **({} if session is None else {"Mcp-Session-Id": session})},
        )

    ann, ben = tokens(path, "notes:read"), tokens(path, "notes:read", "ben")
    initialize = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    begun = post(ann, {"id": 1, "method": "initialize", "params": initialize})
    session = begun.headers["mcp-session-id"]
    ping = {"id": 2, "method": "ping"}

    assert post(ben, ping, session).status_code == 404
    assert post(ann, ping, session).status_code == 200
    url, headers = server.origin + path, {"Authorization": f"Bearer {ben}", "Mcp-Session-Id": session}
    assert local_http.delete(url, headers=headers).status_code == 404
    assert post(ann, ping, session).status_code == 200


@pytest.mark.parametrize("mode", ERAS)
async def test_fastmcps_own_client_calls_a_server_without_scopes(
    server: RunningServer, tokens: Tokens, mode: str
) -> None:
    auth = BearerAuth(tokens("/open", "mcp"))
    async with FastMCPClient(f"{server.origin}/open", auth=auth, mode=mode, timeout=PATIENCE) as client:
        names = [tool.name for tool in await client.list_tools()]
        result = await client.call_tool("whoami", {})

    assert names == ["whoami", "delete", "new", "opened"]
    assert result.structured_content is not None
    assert result.structured_content["subject"] == "ann"


def test_nobody_gets_in_without_a_token(server: RunningServer) -> None:
    for path in ("/fastmcp", "/high", "/low", "/open", "/app/mcp", "/app/other"):
        answer = local_http.post(server.origin + path, json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=JSON)
        assert answer.status_code == 401
        assert "resource_metadata=" in answer.headers["www-authenticate"]


FAILING = """
from contextlib import asynccontextmanager
from fastmcp import FastMCP

@asynccontextmanager
async def lifespan(server):
    raise RuntimeError("there is no database")
    yield

server = FastMCP("notes", lifespan=lifespan)
"""


def test_a_lifespan_that_fails_ends_the_start_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(FAILING, encoding="utf-8")
    command = [sys.executable, "-m", "gatepost", "serve", "failing:server", "--port", "0"]
    environment = {**os.environ, "OAUTH_STORAGE_DIR": str(tmp_path / "data"), "PYTHONPATH": str(REPOSITORY / "src")}

    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
    )

    assert ended.returncode != 0
    (said,) = [line for line in ended.stderr.splitlines() if "there is no database" in line]
    why = "RuntimeError: there is no database"
    assert f"An application that is served could not start: {why} ({tmp_path / 'failing.py'}, line 7)" in said
    assert "Traceback" not in ended.stderr
