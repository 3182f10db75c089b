"""Sessions over real HTTP, on a SQLite store: the official client is asked, listens and comes back; a clean stop."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitRequestParams, ElicitResult, TextContent

from tests.end_to_end import local_http
from tests.end_to_end.local_http import PATIENCE
from tests.end_to_end.running_server import RunningServer

TARGET = "tests/end_to_end/session_target.py:server"
OPEN = {"MCP_REQUIRE_AUTH": "false", "OAUTH_ENABLED": "false", "MCP_SHUTDOWN_SECONDS": "600"}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}


@pytest.fixture
def talkative(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(TARGET, tmp_path / "data", environment=OPEN) as server:
        yield server


def text_of(content: Any) -> str:
    """The text of a result's first block."""
    assert isinstance(content[0], TextContent)
    return content[0].text


async def test_the_official_client_is_asked_told_and_served_again(talkative: RunningServer) -> None:
    told: list[tuple[float, float | None]] = []
    heard: list[str] = []
    changed = asyncio.Event()

    async def fill_in(context: object, params: ElicitRequestParams) -> ElicitResult:
        del context
        assert params.message == "Which colour?"
        return ElicitResult(action="accept", content={"colour": "red"})

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        del message
        told.append((progress, total))

    async def handle(message: object) -> None:
        heard.append(type(message).__name__)
        if "ToolListChanged" in type(message).__name__:
            changed.set()

    transport = streamable_http_client(talkative.mcp_url)
    async with Client(transport, mode="legacy", elicitation_callback=fill_in, message_handler=handle) as client:
        chosen = await client.call_tool("choose", {}, progress_callback=progressed)
        assert text_of(chosen.content) == "red"
        assert told == [(1, 2), (2, 2)]
        async with asyncio.timeout(PATIENCE):
            # The client opens its own stream in the background.
            while not changed.is_set():
                await client.call_tool("grow", {})
                await asyncio.sleep(0.05)
        assert text_of((await client.call_tool("slow", {}, progress_callback=progressed)).content) == "after all"


def test_a_server_with_open_streams_stops_at_once(talkative: RunningServer) -> None:
    begun = local_http.post(talkative.mcp_url, json=INITIALIZE)
    headers = {"accept": "text/event-stream", "mcp-session-id": begun.headers["mcp-session-id"]}
    with local_http.stream("GET", talkative.mcp_url, headers=headers) as listening:
        assert (listening.status_code, listening.headers["content-type"]) == (200, "text/event-stream")
        began = time.monotonic()
        assert talkative.stop() == 0
        # Well below MCP_SHUTDOWN_SECONDS, which is what it would wait for a stream that does not end.
        assert time.monotonic() - began < 300
        assert b"".join(listening.iter_bytes()).startswith(b"id: session.1\ndata: \n\n")


def test_a_session_outlives_the_process(talkative: RunningServer) -> None:
    begun = local_http.post(talkative.mcp_url, json=INITIALIZE)
    headers = {"mcp-session-id": begun.headers["mcp-session-id"]}
    talkative.kill()
    talkative.start()
    ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
    answer = local_http.post(talkative.mcp_url, json=ping, headers=headers)
    assert answer.json() == {"jsonrpc": "2.0", "id": 2, "result": {}}
    assert local_http.delete(talkative.mcp_url, headers=headers).status_code == 200
    assert local_http.post(talkative.mcp_url, json=ping, headers=headers).status_code == 404
