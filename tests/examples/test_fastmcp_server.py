"""The example of a FastMCP server, and the page about servers of other libraries: what they show happens."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from gatepost import create_app
from gatepost.configuration.scope_file import read_scope_map
from gatepost.configuration.settings import load_settings
from gatepost.resource.scope_map import ScopeMap
from gatepost.testing import Client, RunningServer

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "other-servers.md").read_text(encoding="utf-8")
KEY = "a-key-of-some-length-0123456789"
INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
SETTINGS = {"MCP_STORAGE_URL": "memory:", "MCP_API_KEY": KEY}


def run(text: str, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "my_server", **(given or {})}
    exec(compile(text, "my_server.py", "exec"), names)  # noqa: S102 - our own example
    return names


def code(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def served(target: Any) -> FastAPI:
    return create_app(target, settings=load_settings(SETTINGS), announce=lambda _: None)


async def test_the_example_keeps_notes_of_its_caller() -> None:
    names = run((ROOT / "examples" / "fastmcp_server.py").read_text(encoding="utf-8"))

    async with RunningServer(names["endpoints"]) as running:
        async with running.client(user="alice") as alice, running.client(user="bob") as bob:
            await alice.call_tool("add_note", {"text": "milk"})
            kept = [(await each.call_tool("list_notes", {})).structured_content for each in (alice, bob)]
        async with running.client(user="alice", scopes=["notes:read"]) as reader:
            assert [tool.name for tool in (await reader.list_tools()).tools] == ["list_notes"]

    assert kept == [{"result": ["milk"]}, {"result": []}]


def test_without_fastmcp_the_example_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastmcp", None)

    with pytest.raises(SystemExit, match=r"^This example needs FastMCP: pip install fastmcp$"):
        run((ROOT / "examples" / "fastmcp_server.py").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "evil.example"}, 421),
        ({"Host": "localhost:8000"}, 200),
        ({"X-Forwarded-For": "203.0.113.7"}, 421),
        ({"Authorization": "Bearer another"}, 401),
        ({"Origin": "https://app.example"}, 200),
    ],
)
async def test_requests_of_every_kind_meet_the_same_guard(headers: dict[str, str], status: int) -> None:
    names = run((ROOT / "examples" / "fastmcp_server.py").read_text(encoding="utf-8"))
    app = served(names["mcp"])
    ping = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}
    given = {"Authorization": f"Bearer {KEY}", "Accept": "application/json, text/event-stream", **headers}
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:8000") as client,
    ):
        for path in ("/mcp", "/mcp/"):
            assert (await client.post(path, json=ping, headers=given)).status_code == status


async def test_the_page_serves_a_fastmcp_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    app = run(code("python")[0])["app"]

    async with Client(app, token=KEY) as client:
        result = await client.call_tool("add", {"text": "milk"})

    assert result.structured_content == {"result": "Noted: milk"}


async def test_the_page_protects_an_application_and_a_server_by_name() -> None:
    mcp = run(code("python")[0].partition("app = ")[0])["mcp"]
    _, application, scoped = code("python")
    by_name = run(scoped, {"mcp": mcp})["endpoints"]
    endpoints = run(application, {"app": mcp.http_app(path="/mcp")})["endpoints"]
    app = served({**endpoints, **by_name})

    async with Client(app, path="/notes/mcp", token=KEY) as client:
        assert (await client.list_tools()).tools != []


def test_the_file_on_the_page_is_one(tmp_path: Path) -> None:
    (text,) = code("toml")
    (tmp_path / "scopes.toml").write_text(text, encoding="utf-8")

    scopes = read_scope_map(tmp_path / "scopes.toml")

    assert isinstance(scopes, ScopeMap)
    assert scopes.needed("tools/call", {"name": "move_note"}) == {"notes:read", "notes:write"}
    assert scopes.needed("tools/call", {"name": "other"}) == {"notes:admin"}
