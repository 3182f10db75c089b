"""`gatepost front --config`: servers that others wrote as one, called by the official client in both eras."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp.shared.exceptions import MCPError

from tests.conftest import RequireService
from tests.end_to_end.conftest import OPEN, owner_of
from tests.end_to_end.running_server import RunningServer, free_port
from tests.end_to_end.test_foreign_servers import Tokens, ask
from tests.end_to_end.test_foreign_servers import connected as with_token
from tests.end_to_end.test_front import EVERYTHING, PACKAGES, calling, install, text_of
from tests.end_to_end.test_official_client import ERAS, Memory, Visits, connected
from tools.npm_packages import NODE

FILES = PACKAGES / "node_modules" / "@modelcontextprotocol" / "server-filesystem" / "dist" / "index.js"


class World:
    """Three servers of others behind one endpoint: two on standard input and output, one on HTTP."""

    def __init__(self, front: RunningServer, folder: Path) -> None:
        self.front = front
        self.folder = folder


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of the official SDK on HTTP."""
    data = tmp_path_factory.mktemp("elsewhere")
    there = RunningServer("", data, module="tests.end_to_end.remote_target", environment={"REMOTE_KIND": "sdk"})
    with there as running:
        yield running


@pytest.fixture(scope="module")
def world(
    require_service: RequireService, tmp_path_factory: pytest.TempPathFactory, elsewhere: RunningServer
) -> Iterator[World]:
    """What is served with a file as clients have it."""
    require_service("server-everything and server-filesystem (npm)", available=install())
    place = tmp_path_factory.mktemp("merged")
    folder = place / "files"
    folder.mkdir()
    (folder / "note.txt").write_text("a note")
    config = place / "mcp.json"
    servers = {
        "every": {"command": str(NODE), "args": [str(EVERYTHING)], "timeout": 60},
        "files": {"command": "${NODE}", "args": [str(FILES), "${FOLDER}"]},
        "remote": {"type": "http", "url": elsewhere.mcp_url, "headers": {"Authorization": "Bearer operators"}},
        "away": {"url": f"http://127.0.0.1:{free_port()}/mcp"},
    }
    config.write_text(json.dumps({"mcpServers": servers}))
    environment = {**OPEN, "NODE": str(NODE), "FOLDER": str(folder.resolve())}
    with RunningServer("", place / "data", environment=environment, config=config) as front:
        yield World(front, folder.resolve())


def test_the_start_says_who_does_not_answer_and_serves_the_others(world: World) -> None:
    assert "every, files, remote, away is served by Gatepost" in world.front.output
    assert 'mcp.json: "every": timeout is not heeded.' in world.front.output
    assert "away (127.0.0.1) does not answer as an MCP server. It cannot be reached" in world.front.output


@pytest.mark.parametrize("mode", ERAS)
async def test_the_tools_of_all_are_called_by_the_names_in_one_list(world: World, mode: str) -> None:
    async with calling(world.front, mode, answers=False) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        echoed = text_of(await client.call_tool("every_echo", {"message": "hi"}))
        read = text_of(await client.call_tool("files_read_text_file", {"path": str(world.folder / "note.txt")}))
        seen = text_of(await client.call_tool("remote_seen", {}))

        assert {name.partition("_")[0] for name in names} == {"every", "files", "remote"}
        assert len([name for name in names if name.startswith("every_")]) == 13
        assert len([name for name in names if name.startswith("files_")]) == 14
        assert (echoed, read) == ("Echo: hi", "a note")
        # Each gets what the operator has for it, and none what the client has.
        assert seen == "Bearer operators"
        with pytest.raises(MCPError, match="away behind has no answer; the log explains it as incident"):
            await client.call_tool("away_anything", {})
        with pytest.raises(MCPError, match="This server has no such tool"):
            await client.call_tool("echo", {"message": "hi"})


@pytest.mark.parametrize("mode", ERAS)
async def test_prompts_resources_and_completion_are_of_those_who_have_them(world: World, mode: str) -> None:
    async with calling(world.front, mode, answers=False) as client:
        prompts = [prompt.name for prompt in (await client.list_prompts()).prompts]
        listed = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates
        prompt = await client.get_prompt("every_args-prompt", {"city": "Paris"})
        texts = [(await client.read_resource(str(one.uri))).contents[0] for one in listed[:1]]
        dynamic = await client.read_resource("demo://resource/dynamic/text/1")
        reference = {"type": "ref/prompt", "name": "every_completable-prompt"}
        completed = await client.complete(reference, {"name": "department", "value": "E"})  # type: ignore[arg-type] # a reference as the wire has it

        assert "every_simple-prompt" in prompts
        assert all(str(one.uri).startswith("demo://") for one in listed)
        assert len(templates) == 2
        assert "Paris" in prompt.messages[0].content.text  # type: ignore[union-attr] # it is a text
        assert texts[0].uri == listed[0].uri
        assert "Resource 1" in dynamic.contents[0].text  # type: ignore[union-attr] # it is a text
        assert completed.completion.values == ["Engineering"]


@pytest.mark.parametrize("mode", ERAS)
async def test_each_server_asks_the_client_and_reports_its_progress(world: World, mode: str) -> None:
    told: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        del total, message
        told.append(progress)

    async with calling(world.front, mode) as client:
        assert len([tool for tool in (await client.list_tools()).tools if tool.name.startswith("every_")]) == 17
        elicited = text_of(await client.call_tool("every_trigger-elicitation-request", {}))
        named = text_of(await client.call_tool("remote_ask", {}))
        roots = text_of(await client.call_tool("every_get-roots-list", {}))
        steps = {"duration": 0.1, "steps": 2}
        await client.call_tool("every_trigger-long-running-operation", steps, progress_callback=on_progress)
        await client.call_tool("remote_steps", {}, progress_callback=on_progress)

    assert "User provided the requested information" in elicited
    assert named == "Ann"
    assert "file:///projects/ann" in roots
    assert told == [1, 2, 1, 2]


async def test_a_token_shows_and_calls_what_its_scopes_are_for_by_the_names_here(
    require_service: RequireService, tmp_path: Path, elsewhere: RunningServer
) -> None:
    require_service("server-everything and server-filesystem (npm)", available=install())
    config, scopes = tmp_path / "mcp.toml", tmp_path / "scopes.toml"
    config.write_text(
        f'[mcpServers.every]\ncommand = "{NODE}"\nargs = ["{EVERYTHING}"]\n'
        f'[mcpServers.remote]\nurl = "{elsewhere.mcp_url}"\nheaders = {{ Authorization = "Bearer operators" }}\n'
    )
    scopes.write_text('default = ["all"]\n[tools]\n"every_*" = ["every"]\nremote_seen = ["remote"]\n')
    with RunningServer("", tmp_path / "data", environment={"MCP_SCOPES_FILE": str(scopes)}, config=config) as front:
        owner = await asyncio.to_thread(owner_of, front)
        tokens = Tokens(front)
        for mode in ERAS:
            async with with_token(front, "/mcp", tokens("/mcp", "remote"), mode) as client:
                assert [tool.name for tool in (await client.list_tools()).tools] == ["remote_seen"]
                assert text_of(await client.call_tool("remote_seen", {})) == "Bearer operators"
        refused = ask(front, "/mcp", tokens("/mcp", "remote"), "tools/call", name="every_echo", arguments={})
        memory, visits = Memory(), Visits(owner)
        async with connected(front, memory, visits, mode="2026-07-28") as client:
            called = text_of(await client.call_tool("every_echo", {"message": "hi"}))

    assert refused.status_code == 403
    assert refused.headers["www-authenticate"].endswith(', scope="every"')
    assert (called, visits.count) == ("Echo: hi", 1)
