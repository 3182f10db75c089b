"""A request that says nothing for a while opens its stream, where its client can read one (record 0034)."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from gatepost.server.calls.context import Context
from gatepost.server.errors import ToolError
from gatepost.web.mcp.exchange.headers import names_events
from tests.web.mcp.mcp_harness import MODERN_META, Timer
from tests.web.mcp.sessions.session_world import Connection, SessionWorld, call, request, text_of

COMMENT = b":\r\n\r\n"
MODERN = "2026-07-28"
SILENT = [
    ("tools/call", {"name": "wait", "arguments": {}}, "wait"),
    ("resources/read", {"uri": "note://slow"}, "note://slow"),
    ("prompts/get", {"name": "slowly"}, "slowly"),
]


class World(SessionWorld):
    """A session world in which nothing sleeps."""

    def __init__(self) -> None:
        self.timer = Timer()
        super().__init__(keep_alive=15.0, call_later=self.timer)

        @self.server.resource("note://slow")
        async def slow() -> str:
            return await self.pause.wait()

        @self.server.prompt
        async def slowly() -> str:
            return await self.pause.wait()

        @self.server.tool
        async def moving(ctx: Context) -> str:
            await ctx.progress(1)
            return await self.pause.wait()

        @self.server.tool
        async def refusing() -> str:
            await self.pause.wait()
            raise ToolError("no")

    def modern(self, method: str, params: dict[str, Any], name: str) -> Connection:
        """Open a request of the modern era."""
        given = {"mcp_protocol_version": MODERN, "mcp_method": method, "mcp_name": name}
        meta = {**MODERN_META, **params.get("_meta", {})}
        return self.open(request(method, {**params, "_meta": meta}), **cast("Any", given))

    async def silence(self, seconds: int) -> None:
        await self.pause.started.wait()
        await self.timer.pass_seconds(seconds)

    async def result(self, connection: Connection) -> Connection:
        self.pause.go_on.set()
        return await connection.ended()


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(("method", "params", "name"), SILENT)
async def test_a_silent_modern_request_opens_its_stream_with_a_comment(
    world: World, method: str, params: dict[str, Any], name: str
) -> None:
    calling = world.modern(method, params, name)
    await world.silence(14)
    assert calling.status == 0
    await world.timer.pass_seconds(1)
    assert (calling.status, calling.headers["content-type"], bytes(calling.raw)) == (200, "text/event-stream", COMMENT)
    await world.timer.pass_seconds(30)
    assert calling.raw == COMMENT * 3
    await world.result(calling)
    assert "finished" in str(calling.messages[0]["result"])


@pytest.mark.parametrize(("method", "params", "name"), SILENT)
async def test_a_silent_request_of_a_session_is_primed_and_can_be_resumed(
    world: World, method: str, params: dict[str, Any], name: str
) -> None:
    session = await world.begin()
    calling = world.open(request(method, params), session=session)
    await world.silence(14)
    assert calling.status == 0
    await world.timer.pass_seconds(1)
    await calling.until(lambda: bool(calling.events))
    [primed] = calling.events
    assert (primed.data, calling.raw.count(COMMENT)) == (None, 0)
    await world.timer.pass_seconds(15)
    await calling.until(lambda: calling.raw.count(COMMENT) == 1)

    calling.gone.set()
    resumed = world.listen(session, last_event_id=primed.id)
    await resumed.until(lambda: resumed.status == 200)
    await world.result(resumed)
    assert len(resumed.messages) == 1
    assert "finished" in str(resumed.messages[0]["result"]), name


@pytest.mark.parametrize("version", ["2025-03-26", "2025-06-18"])
async def test_older_sessions_get_a_comment_since_they_know_no_empty_events(world: World, version: str) -> None:
    session = await world.begin(version=version)
    calling = world.open(call("wait"), session=session)
    await world.silence(15)
    await calling.until(lambda: bytes(calling.raw) == COMMENT)
    await world.result(calling)
    assert text_of(calling.messages[0]) == "finished"


@pytest.mark.parametrize("accept", ["application/json", "*/*", None, "application/json, text/event-stream;q=0"])
async def test_a_client_that_does_not_name_event_streams_gets_json_however_long_it_takes(
    world: World, accept: str | None
) -> None:
    session = await world.begin()
    calling = world.open(call("wait"), session=session, accept=accept)
    await world.silence(60)
    assert calling.status == 0
    await world.result(calling)
    assert (calling.status, calling.headers["content-type"]) == (200, "application/json")
    assert text_of(calling.body) == "finished"


@pytest.mark.parametrize(
    ("accept", "is_named"),
    [
        (b"application/json, text/event-stream", True),
        (b"TEXT/Event-Stream ; q=0.5", True),
        (b"application/json, text/*", True),
        (b"text/*;q=0, text/event-stream", True),
        (b"text/event-stream; q=0.000, text/*", False),
        (b"text/*;q=0", False),
        (b"text/html", False),
        (b"*/*", False),
        (b"", False),
        (None, False),
    ],
)
def test_event_streams_are_named_by_their_type_or_all_text(accept: bytes | None, *, is_named: bool) -> None:
    assert names_events(accept) is is_named


async def test_a_request_that_is_answered_before_leaves_nothing_behind(world: World) -> None:
    calling = world.modern("tools/call", {"name": "wait", "arguments": {}}, "wait")
    await world.silence(14)
    await world.result(calling)
    assert calling.headers["content-type"] == "application/json"
    await world.timer.pass_seconds(16)
    assert (len(calling.raw), world.timer.waiting) == (int(calling.headers["content-length"]), [])


async def test_a_stream_that_progress_opened_is_kept_alive_in_both_eras(world: World) -> None:
    session = await world.begin()
    progress = {"name": "moving", "arguments": {}, "_meta": {"progressToken": "p"}}
    modern = world.modern("tools/call", progress, "moving")
    handshake = world.open(request("tools/call", progress), session=session)
    for calling in (modern, handshake):
        await calling.until_messages(1)
    await world.silence(15)
    for calling in (modern, handshake):
        await calling.until(lambda calling=calling: COMMENT in calling.raw)  # type: ignore[misc]  # bound for each
        await world.result(calling)
        assert text_of(calling.messages[1]) == "finished"


async def test_what_fails_after_silence_fails_on_the_stream(world: World) -> None:
    calling = world.modern("tools/call", {"name": "refusing", "arguments": {}}, "refusing")
    await world.silence(15)
    await world.result(calling)
    assert calling.status == 200
    assert calling.messages[0]["result"]["isError"] is True


async def test_a_modern_client_that_leaves_in_the_silence_cancels(world: World) -> None:
    calling = world.modern("tools/call", {"name": "wait", "arguments": {}}, "wait")
    await world.silence(15)
    calling.gone.set()
    await calling.finished()
    assert world.pause.ended == "cancelled"


async def test_many_silent_calls_cost_no_task_and_no_timer_each(world: World) -> None:
    session = await world.begin()
    calls = [world.open(call("wait", number), session=session) for number in range(200)]
    await world.silence(1)
    before = len(asyncio.all_tasks())
    assert len(world.timer.waiting) == 1
    await world.timer.pass_seconds(14)
    for calling in calls:
        await calling.until(lambda calling=calling: bool(calling.events))  # type: ignore[misc]  # bound for each
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before
    world.pause.go_on.set()
    for calling in calls:
        await calling.ended()
