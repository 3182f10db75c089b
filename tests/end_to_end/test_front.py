"""`gatepost front`: servers that others wrote, behind the lock, called by the official client in both eras."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import mcp_types
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.conftest import RequireService
from tests.end_to_end import local_http
from tests.end_to_end.conftest import OPEN, owner_of
from tests.end_to_end.running_server import REPOSITORY, RunningServer
from tests.end_to_end.test_official_client import ERAS, Memory, Visits, connected
from tests.fronts.front_world import SERVER, is_alive
from tests.patience import PATIENCE
from tools import npm_packages
from tools.npm_packages import NODE

SOURCE = REPOSITORY / "tools" / "front_servers"
PACKAGES = REPOSITORY / ".venv" / "front_servers"
EVERYTHING = PACKAGES / "node_modules" / "@modelcontextprotocol" / "server-everything" / "dist" / "index.js"
DEADLINE = 300  # seconds; only ever reached when something is broken
EVERY_TOOL: dict[str, dict[str, Any]] = {
    "echo": {"message": "hi"},
    "get-annotated-message": {"messageType": "success", "includeImage": True},
    "get-structured-content": {"location": "New York"},
    "get-sum": {"a": 1, "b": 2},
    "get-tiny-image": {},
    "get-resource-links": {"count": 2},
}


def install() -> bool:
    """Install what `tools/front_servers/package-lock.json` pins; return whether it is there now."""
    try:
        npm_packages.install(SOURCE, PACKAGES, timeout=DEADLINE)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


@pytest.fixture(scope="module")
def everything(require_service: RequireService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The reference server, which everybody on this machine can call."""
    require_service("server-everything (npm)", available=install())
    data = tmp_path_factory.mktemp("everything") / "data"
    with RunningServer("", data, environment=OPEN, behind=[str(NODE), str(EVERYTHING)]) as running:
        yield running


async def elicit(_context: Any, params: Any) -> mcp_types.ElicitResult:
    assert params.message
    return mcp_types.ElicitResult(action="accept", content={"name": "Ann", "check": True})


async def sample(_context: Any, _params: Any) -> mcp_types.CreateMessageResult:
    return mcp_types.CreateMessageResult(
        role="assistant", model="none", content=mcp_types.TextContent(type="text", text="an answer")
    )


async def roots(_context: Any) -> mcp_types.ListRootsResult:
    return mcp_types.ListRootsResult(roots=[mcp_types.Root(uri="file:///projects/ann", name="ann")])  # type: ignore[arg-type] # a text is taken


ANSWERS: dict[str, Any] = {
    "elicitation_callback": elicit,
    "sampling_callback": sample,
    "list_roots_callback": roots,
}


@asynccontextmanager
async def calling(server: RunningServer, mode: str, *, answers: bool = True) -> AsyncIterator[Client]:
    """Connect as any user of the SDK would."""
    given: dict[str, Any] = ANSWERS if answers else {}
    async with (
        local_http.async_client() as http,
        Client(streamable_http_client(server.mcp_url, http_client=http), mode=mode, **given) as client,
    ):
        yield client


def text_of(result: Any) -> str:
    text: str = result.content[0].text
    return text


@pytest.mark.parametrize("mode", ERAS)
async def test_everything_is_answered_as_it_answers_itself(everything: RunningServer, mode: str) -> None:
    async with calling(everything, mode) as client:
        through = [(await client.call_tool(name, arguments)) for name, arguments in EVERY_TOOL.items()]
        lists = [
            [tool.model_dump() for tool in (await client.list_tools()).tools],
            [one.model_dump() for one in (await client.list_resources()).resources],
            [one.model_dump() for one in (await client.list_prompts()).prompts],
        ]
    async with Client(directly(), mode="legacy", **ANSWERS) as client:
        itself = [(await client.call_tool(name, arguments)) for name, arguments in EVERY_TOOL.items()]
        own_lists = [
            [tool.model_dump() for tool in (await client.list_tools()).tools],
            [one.model_dump() for one in (await client.list_resources()).resources],
            [one.model_dump() for one in (await client.list_prompts()).prompts],
        ]

    assert [result.model_dump(exclude={"meta"}) for result in through] == [
        result.model_dump(exclude={"meta"}) for result in itself
    ]
    assert lists == own_lists


def directly() -> Any:
    """The server itself, without anything in between."""
    return stdio_client(StdioServerParameters(command=str(NODE), args=[str(EVERYTHING)]))


@pytest.mark.parametrize("mode", ERAS)
async def test_everything_asks_its_client_and_reports_progress(everything: RunningServer, mode: str) -> None:
    told: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        assert (total, message) == (2, None)
        told.append(progress)

    async with calling(everything, mode) as client:
        assert len((await client.list_tools()).tools) == 17
        elicited = text_of(await client.call_tool("trigger-elicitation-request", {}))
        sampled = text_of(await client.call_tool("trigger-sampling-request", {"prompt": "x"}))
        listed = text_of(await client.call_tool("get-roots-list", {}))
        steps = {"duration": 0.1, "steps": 2}
        await client.call_tool("trigger-long-running-operation", steps, progress_callback=on_progress)

    assert "User provided the requested information" in elicited
    assert "an answer" in sampled
    assert "file:///projects/ann" in listed
    assert told == [1, 2]


async def test_a_client_that_answers_nothing_is_offered_less(everything: RunningServer) -> None:
    for mode in ERAS:
        async with calling(everything, mode, answers=False) as client:
            assert len((await client.list_tools()).tools) == 13


async def test_its_title_is_what_people_see(everything: RunningServer) -> None:
    assert "Everything Reference Server is served by Gatepost" in everything.output


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of the official SDK, for whoever has a token."""
    behind = [sys.executable, str(Path(__file__).with_name("sdk_stdio_server.py"))]
    with RunningServer("", tmp_path_factory.mktemp("sdk") / "data", behind=behind) as running:
        yield running


async def test_people_log_in_before_a_server_that_knows_no_login(sdk: RunningServer) -> None:
    owner = await asyncio.to_thread(owner_of, sdk)
    for mode in ERAS:
        memory, visits = Memory(), Visits(owner)
        async with connected(sdk, memory, visits, mode=mode) as client:
            counts = [(await client.call_tool("count", {})).structured_content for _ in range(2)]
        assert counts[1]["result"] == counts[0]["result"] + 1
        assert visits.count == 1


@pytest.fixture(scope="module")
def open_sdk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    behind = [sys.executable, str(Path(__file__).with_name("sdk_stdio_server.py"))]
    with RunningServer("", tmp_path_factory.mktemp("sdk") / "data", environment=OPEN, behind=behind) as running:
        yield running


@pytest.mark.parametrize("mode", ERAS)
async def test_a_server_of_the_sdk_asks_clients_of_both_eras(open_sdk: RunningServer, mode: str) -> None:
    async with calling(open_sdk, mode) as client:
        assert text_of(await client.call_tool("greet", {})) == "Hello Ann"


@pytest.mark.parametrize("signal_name", ["stop", "kill"])
async def test_no_process_outlives_the_server(tmp_path: Path, signal_name: str) -> None:
    server = RunningServer(
        "", tmp_path / "data", environment=OPEN, behind=[sys.executable, str(SERVER)], is_measured=False
    ).start()
    async with calling(server, "2026-07-28", answers=False) as client:
        pid = json.loads(text_of(await client.call_tool("ids", {})))[0]
    getattr(server, signal_name)()

    async with asyncio.timeout(PATIENCE):
        while is_alive(pid):  # noqa: ASYNC110 - what another process does sets no event here
            await asyncio.sleep(0.01)
