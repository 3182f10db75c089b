"""Steps 1 to 4 of the tutorial: a server that grows until its tools run, open to everybody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from mcp import MCPError
from mcp_types import TextContent

from examples.steps import step_1_health, step_2_requests, step_3_definitions, step_4_dispatch
from gatepost.testing import Client, RunningServer
from tests.testing.notes_server import text_of

HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "curl", "version": "8"}}


@asynccontextmanager
async def at(target: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """Serve a step as its program does, and have a client for raw requests there."""
    async with RunningServer(target, settings=step_1_health.OPEN) as running:
        yield running.http()


def error_of(said: httpx2.Response) -> tuple[int, int]:
    """Return the status and the code of an error."""
    return said.status_code, said.json()["error"]["code"]


def request(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}


def test_the_open_steps_say_so_in_the_same_way() -> None:
    said = [step.OPEN for step in (step_1_health, step_2_requests, step_3_definitions, step_4_dispatch)]

    assert said == [{"MCP_REQUIRE_AUTH": "false", "OAUTH_ENABLED": "false"}] * 4


async def test_step_1_of_the_tutorial_is_well_and_has_no_tools() -> None:
    async with at(step_1_health.server) as http:
        health = await http.get("/health")
        assert health.status_code == 200
        assert health.json() == {"status": "ok", "server": "step-1", "resources": [f"{http.base_url}/mcp"]}
        listed = await http.post("/mcp", json=request("tools/list"))
        assert listed.json() == {"jsonrpc": "2.0", "id": 7, "result": {"tools": []}}


async def test_step_2_of_the_tutorial_answers_what_it_knows_and_none_for_the_rest() -> None:
    async with at(step_2_requests.server) as http:
        hello = await http.post("/mcp", json=request("initialize", **HELLO))
        assert hello.json() == {
            "jsonrpc": "2.0",
            "id": 7,
            "result": {
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "serverInfo": {"name": "step-2", "version": "1"},
            },
        }
        ping = await http.post("/mcp", json=request("ping"))
        assert ping.json() == {"jsonrpc": "2.0", "id": 7, "result": {}}
        told = await http.post("/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"})
        assert (told.status_code, told.content) == (202, b"")
        assert error_of(await http.post("/mcp", json=request("tools/list"))) == (200, -32601)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"hello", (400, -32700)),
        (b'{"id": 1, "method": "ping"}', (400, -32600)),
        (b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]', (400, -32600)),
    ],
)
async def test_step_2_of_the_tutorial_never_sees_what_is_no_request(
    body: bytes, expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    monkeypatch.setattr(step_2_requests, "answer", lambda message, _: seen.append(message))
    async with at(step_2_requests.server) as http:
        said = await http.post("/mcp", content=body, headers={"Content-Type": "application/json"})

    assert (error_of(said), seen) == (expected, [])


async def test_step_3_of_the_tutorial_lists_two_tools_and_two_prompts_and_calls_none() -> None:
    async with at(step_3_definitions.server) as http:
        tools = await http.post("/mcp", json=request("tools/list"))
        assert tools.json()["result"] == {"tools": step_3_definitions.TOOLS}
        prompts = await http.post("/mcp", json=request("prompts/list"))
        assert prompts.json()["result"] == {"prompts": step_3_definitions.PROMPTS}
        for method, name in (("tools/call", "echo"), ("prompts/get", "help")):
            assert error_of(await http.post("/mcp", json=request(method, name=name))) == (200, -32601)


async def test_the_definitions_of_step_3_are_as_the_official_client_reads_them() -> None:
    async with Client(step_3_definitions.server, era="handshake", settings=step_1_health.OPEN) as client:
        tools = (await client.list_tools()).tools
        prompts = (await client.list_prompts()).prompts

    assert [(tool.name, tool.input_schema.get("required")) for tool in tools] == [
        ("echo", ["message"]),
        ("get_time", None),
    ]
    assert [(prompt.name, [one.name for one in prompt.arguments or []]) for prompt in prompts] == [
        ("greeting", ["name"]),
        ("help", []),
    ]


async def test_step_4_of_the_tutorial_runs_tools_and_writes_prompts() -> None:
    async with Client(step_4_dispatch.server, era="handshake", settings=step_4_dispatch.OPEN) as client:
        assert text_of(await client.call_tool("echo", {"message": "hello"})) == "hello"
        told = datetime.fromisoformat(text_of(await client.call_tool("get_time")))
        assert abs((datetime.now(UTC) - told).total_seconds()) < 100
        greeting = await client.get_prompt("greeting", {"name": "Ada"})
        assert greeting.messages[0].content == TextContent(type="text", text="Greet Ada in one friendly sentence.")
        assert len((await client.get_prompt("help")).messages) == 1


async def test_step_4_of_the_tutorial_tells_the_model_of_wrong_arguments_and_the_client_of_wrong_names() -> None:
    async with Client(step_4_dispatch.server, era="handshake", settings=step_4_dispatch.OPEN) as client:
        for arguments, words in (
            ({}, "The argument 'message' is missing or no text."),
            ({"message": 1}, "The argument 'message' is missing or no text."),
            ({"message": "hello", "loud": True}, "There is no argument 'loud'."),
        ):
            result = await client.call_tool("echo", arguments)
            assert (result.is_error, text_of(result)) == (True, words)
        with pytest.raises(MCPError, match=r"^There is no tool 'shout'\.$"):
            await client.call_tool("shout", {})
        with pytest.raises(MCPError, match=r"^There is no prompt 'farewell'\.$"):
            await client.get_prompt("farewell")
        with pytest.raises(MCPError, match=r"^The argument 'name' is missing"):
            await client.get_prompt("greeting")


@pytest.mark.parametrize(
    ("kind", "names"), [("tools", lambda: step_4_dispatch.TOOLS), ("prompts", lambda: step_4_dispatch.PROMPTS)]
)
async def test_step_4_of_the_tutorial_lists_what_it_dispatches(kind: str, names: Callable[[], dict[str, Any]]) -> None:
    async with at(step_4_dispatch.server) as http:
        listed = await http.post("/mcp", json=request(f"{kind}/list"))

    assert [one["name"] for one in listed.json()["result"][kind]] == list(names())
