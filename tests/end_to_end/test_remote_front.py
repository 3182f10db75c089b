"""`gatepost front URL`: servers on the official SDK and FastMCP elsewhere, called by the official client."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

import mcp_types
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from tests.conftest import RequireService
from tests.end_to_end import local_http
from tests.end_to_end.running_server import RunningServer, free_port
from tests.end_to_end.test_front import ANSWERS as ANSWERS_TO_EVERYTHING
from tests.end_to_end.test_front import DEADLINE, EVERYTHING, install
from tests.end_to_end.test_official_client import ERAS
from tools.npm_packages import NODE

KEY = "the-callers-own-key"
ENVIRONMENT = {"MCP_API_KEY": KEY, "MCP_FRONT_AUTHORIZATION": "Bearer operators", "MCP_STORAGE_URL": "memory:"}
KINDS = ("sdk", "stateless", "fastmcp")


class Pair:
    """A server elsewhere and the front before it."""

    def __init__(self, kind: str, remote: RunningServer, front: RunningServer) -> None:
        self.kind = kind
        self.remote = remote
        self.front = front


@pytest.fixture(scope="module", params=KINDS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    data = tmp_path_factory.mktemp(request.param)
    there = RunningServer("", data, module="tests.end_to_end.remote_target", environment={"REMOTE_KIND": request.param})
    with there as remote, RunningServer("", data, environment=ENVIRONMENT, behind=[remote.mcp_url]) as front:
        yield Pair(request.param, remote, front)


async def elicit(_context: Any, params: Any) -> mcp_types.ElicitResult:
    assert params.message == "Name?"
    return mcp_types.ElicitResult(action="accept", content={"name": "Ann"})


ANSWERS: dict[str, Any] = {"elicitation_callback": elicit}


@asynccontextmanager
async def calling(front: RunningServer, mode: str, *, all_answers: bool = False) -> AsyncIterator[Client]:
    """Connect as any user of the SDK would, with a key of Gatepost's."""
    answers = ANSWERS_TO_EVERYTHING if all_answers else ANSWERS
    async with (
        local_http.async_client(headers={"Authorization": f"Bearer {KEY}"}) as http,
        Client(streamable_http_client(front.mcp_url, http_client=http), mode=mode, **answers) as client,
    ):
        yield client


def text_of(result: Any) -> str:
    text: str = result.content[0].text
    return text


@pytest.mark.parametrize("mode", ERAS)
async def test_tools_are_listed_and_called(pair: Pair, mode: str) -> None:
    told: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        assert (total, message) == (2, None)
        told.append(progress)

    async with calling(pair.front, mode) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        echoed = [text_of(await client.call_tool("echo", {"text": text})) for text in ("hü", "x" * 4_000_000)]
        done = text_of(await client.call_tool("steps", {}, progress_callback=on_progress))

    assert names == ["echo", "steps", "ask", "seen"]
    assert echoed == ["hü", "x" * 4_000_000]
    assert done == "done"
    assert told == [1, 2]


@pytest.mark.parametrize("mode", ERAS)
async def test_the_server_sees_the_operators_token_and_not_the_clients(pair: Pair, mode: str) -> None:
    async with calling(pair.front, mode) as client:
        assert text_of(await client.call_tool("seen", {})) == "Bearer operators"


@pytest.mark.parametrize("mode", ERAS)
async def test_questions_reach_the_client_where_the_server_can_ask(pair: Pair, mode: str) -> None:
    async with calling(pair.front, mode) as client:
        if pair.kind == "stateless":
            # Such a server has no way to its client, and says so itself.
            with pytest.raises(MCPError):
                await client.call_tool("ask", {})
        else:
            assert text_of(await client.call_tool("ask", {})) == "Ann"


async def test_a_server_that_starts_anew_is_served_without_a_restart_of_the_front(pair: Pair) -> None:
    async with calling(pair.front, "auto") as client:
        assert text_of(await client.call_tool("echo", {"text": "before"})) == "before"
        pair.remote.kill()
        with pytest.raises(MCPError, match="The server behind has no answer"):
            await client.call_tool("echo", {"text": "away"})
        pair.remote.start()
        assert text_of(await client.call_tool("echo", {"text": "back"})) == "back"
    async with calling(pair.front, "legacy") as client:
        assert text_of(await client.call_tool("echo", {"text": "again"})) == "again"


class Everything:
    """The reference server on Streamable HTTP, which knows the handshake only."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [str(NODE), str(EVERYTHING), "streamableHttp"],
            env={**os.environ, "PORT": str(self.port)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        listens = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr, listens), daemon=True)
        self._reader.start()
        assert listens.wait(DEADLINE), "the server did not start"

    def _read(self, stream: IO[bytes], listens: threading.Event) -> None:
        with stream:
            for line in stream:
                if b"listening on port" in line:
                    listens.set()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(DEADLINE)
        if self._reader is not None:
            self._reader.join(DEADLINE)


@pytest.fixture(scope="module")
def everything(require_service: RequireService) -> Iterator[Everything]:
    require_service("server-everything (npm)", available=install())
    server = Everything()
    server.start()
    yield server
    server.stop()


async def test_the_reference_server_asks_reports_and_may_start_anew(everything: Everything, tmp_path: Path) -> None:
    """It answers 400 with -32000 to a session that it has forgotten, and says everything on streams with event ids."""
    told: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        assert (total, message) == (2, None)
        told.append(progress)

    with RunningServer("", tmp_path, environment=ENVIRONMENT, behind=[everything.url]) as front:
        for mode in ERAS:
            async with calling(front, mode, all_answers=True) as client:
                assert len((await client.list_tools()).tools) == 17
                elicited = text_of(await client.call_tool("trigger-elicitation-request", {}))
                listed = text_of(await client.call_tool("get-roots-list", {}))
                steps = {"duration": 0.1, "steps": 2}
                await client.call_tool("trigger-long-running-operation", steps, progress_callback=on_progress)
            assert "User provided the requested information" in elicited
            assert "file:///projects/ann" in listed
        assert told == [1, 2] * len(ERAS)

        async with calling(front, "auto") as client:
            assert text_of(await client.call_tool("echo", {"message": "before"})) == "Echo: before"
            everything.stop()
            everything.start()
            assert text_of(await client.call_tool("echo", {"message": "after"})) == "Echo: after"
