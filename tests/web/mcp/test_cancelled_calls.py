"""A call that is cancelled ends at once and is told so, in either era, whatever the tool does about it."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from anyio import to_thread
from starlette.types import Message

from gatepost.server.calls import cancellation as cancelling
from gatepost.server.calls.cancellation import CancelScope
from gatepost.server.calls.context import Context
from gatepost.server.dispatch import ServerTarget
from gatepost.server.errors import ToolError
from tests.patience import PATIENCE
from tests.web.mcp.mcp_harness import MODERN_META, McpWorld, a_server, exchange_on, headers_for
from tests.web.mcp.sessions.session_world import SessionWorld, call, text_of

CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%s"}}'


class Watching:
    """Tools that look whether they are cancelled: a plain function, which blocks its thread, and an async one."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.started = asyncio.Event()
        self.look = threading.Event()
        self.seen = asyncio.Queue[bool]()

    def blocking(self, ctx: Context) -> str:
        """Look when told to."""
        self.tell(ctx.is_cancelled)
        self.loop.call_soon_threadsafe(self.started.set)
        assert self.look.wait(PATIENCE)
        self.tell(ctx.is_cancelled)
        return "looked"

    async def waiting(self, ctx: Context) -> str:
        """Look when it is stopped."""
        self.seen.put_nowait(ctx.is_cancelled)
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.seen.put_nowait(ctx.is_cancelled)
        return ""

    def tell(self, is_cancelled: bool) -> None:
        self.loop.call_soon_threadsafe(self.seen.put_nowait, is_cancelled)

    async def both(self) -> list[bool]:
        """What was seen before and after."""
        self.look.set()
        async with asyncio.timeout(PATIENCE):
            return [await self.seen.get(), await self.seen.get()]


async def until_no_thread_is_in_use() -> None:
    async with asyncio.timeout(PATIENCE):
        while to_thread.current_default_thread_limiter().borrowed_tokens:  # noqa: ASYNC110 - the limiter tells nobody
            await asyncio.sleep(0)


@pytest.mark.parametrize("tool", ["blocking", "waiting"])
async def test_a_client_that_goes_away_ends_the_request_and_the_tool_can_see_it(tool: str) -> None:
    watching, gone = Watching(), asyncio.Event()
    server = a_server()
    server.tool(getattr(watching, tool))
    world = McpWorld(ServerTarget(server))
    exchange = asyncio.create_task(world.send(CALL % tool.encode(), headers_for(), disconnect=gone))
    await watching.started.wait()

    gone.set()

    async with asyncio.timeout(PATIENCE):
        assert await exchange is None
    assert await watching.both() == [False, True]
    await until_no_thread_is_in_use()


async def test_a_server_that_cancels_what_it_serves_ends_the_request_and_the_thread_can_see_it() -> None:
    watching = Watching()
    server = a_server()
    server.tool(watching.blocking)
    exchange = asyncio.create_task(McpWorld(ServerTarget(server)).send(CALL % b"blocking", headers_for()))
    await watching.started.wait()

    exchange.cancel()

    async with asyncio.timeout(PATIENCE):
        with pytest.raises(asyncio.CancelledError):
            await exchange
    assert await watching.both() == [False, True]


async def a_session(tool: str) -> tuple[SessionWorld, Watching, str]:
    world, watching = SessionWorld(), Watching()
    world.server.tool(getattr(watching, tool))
    return world, watching, await world.begin()


async def cancel(world: SessionWorld, session: str, how: str) -> None:
    """End the request 1 of a session in one of two ways."""
    if how == "DELETE":
        assert (await world.send(None, session=session, method="DELETE")).status == 200
        return
    notification: dict[str, Any] = {"jsonrpc": "2.0", "method": how, "params": {"requestId": 1}}
    assert (await world.send(notification, session=session)).status == 202


@pytest.mark.parametrize("how", ["notifications/cancelled", "DELETE"])
@pytest.mark.parametrize("tool", ["blocking", "waiting"])
async def test_a_request_of_a_session_that_is_cancelled_ends_without_an_answer_and_the_tool_can_see_it(
    tool: str, how: str
) -> None:
    world, watching, session = await a_session(tool)
    connection = world.open(call(tool), session=session)
    await watching.started.wait()

    await cancel(world, session, how)

    await connection.finished()
    assert connection.messages == []
    assert await watching.both() == [False, True]


async def test_in_a_session_a_client_that_goes_away_cancels_nothing() -> None:
    world, watching, session = await a_session("blocking")
    connection = world.open(call("blocking"), session=session)
    await watching.started.wait()

    connection.gone.set()

    assert await watching.both() == [False, False]
    await connection.finished()


async def test_a_server_that_cancels_what_it_serves_in_a_session_lets_the_thread_see_it() -> None:
    world, watching, session = await a_session("blocking")
    connection = world.open(call("blocking"), session=session)
    await watching.started.wait()
    assert connection.task is not None

    connection.task.cancel()

    async with asyncio.timeout(PATIENCE):
        with pytest.raises(asyncio.CancelledError):
            await connection.task
    assert await watching.both() == [False, True]


async def test_a_call_that_nobody_cancels_is_answered() -> None:
    world, watching, session = await a_session("blocking")
    connection = world.open(call("blocking"), session=session)
    await watching.started.wait()

    assert await watching.both() == [False, False]
    assert text_of((await connection.ended()).body) == "looked"


class Stubborn:
    """Tools that do not let themselves be cancelled."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.swallowed = 0

    async def until_cancelled(self) -> None:
        """Wait, and swallow the cancellation."""
        self.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.swallowed += 1

    async def answers(self) -> str:
        """Answer all the same."""
        await self.until_cancelled()
        return "done all the same"

    async def refuses(self) -> str:
        """Answer with an error of its own."""
        await self.until_cancelled()
        raise ToolError("too late")

    async def asks(self, ctx: Context) -> str:
        """Ask the client what it cannot answer, which is an error of the protocol."""
        await self.until_cancelled()
        await ctx.roots()
        return ""

    async def tells(self, ctx: Context) -> str:
        """Send progress."""
        await self.until_cancelled()
        await ctx.progress(1)
        ctx.log.warning("too late")
        return ""

    async def goes_on(self) -> str:
        """Wait for ever, whatever comes."""
        while True:
            await self.until_cancelled()


STUBBORN = ["answers", "refuses", "asks", "tells", "goes_on"]


async def until_only(tasks: set[asyncio.Task[Any]]) -> None:
    """Wait until no other tasks are left."""
    async with asyncio.timeout(PATIENCE):
        while asyncio.all_tasks() - tasks:  # noqa: ASYNC110 - tasks tell nobody
            await asyncio.sleep(0)


@pytest.mark.parametrize("tool", STUBBORN)
async def test_a_tool_that_swallows_its_cancellation_is_over_when_the_client_goes_away(
    tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancelling, "CLEAN_UP_SECONDS", 0)
    before, stubborn, gone = asyncio.all_tasks(), Stubborn(), asyncio.Event()
    server = a_server()
    server.tool(getattr(stubborn, tool))
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {
            "name": tool,
            "_meta": {**MODERN_META, "progressToken": 1, "io.modelcontextprotocol/logLevel": "debug"},
        },
    }
    headers = headers_for(version="2026-07-28", method="tools/call", name=tool)
    world = McpWorld(ServerTarget(server))
    exchange = asyncio.create_task(world.send(json.dumps(message).encode(), headers, disconnect=gone))
    await stubborn.started.wait()

    gone.set()

    async with asyncio.timeout(PATIENCE):
        assert await exchange is None
    assert (stubborn.swallowed, exchange.cancelling()) == (1, 0)
    await until_only(before)


async def test_what_takes_a_notification_is_over_when_the_client_goes_away_whatever_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cancelling, "CLEAN_UP_SECONDS", 0)
    before, stubborn, gone = asyncio.all_tasks(), Stubborn(), asyncio.Event()

    class Target(ServerTarget):
        async def notice(self, *_: object) -> None:
            await stubborn.goes_on()

    world = McpWorld(Target(a_server()))
    message = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
    exchange = asyncio.create_task(world.send(message, headers_for(), disconnect=gone))
    await stubborn.started.wait()

    gone.set()

    async with asyncio.timeout(PATIENCE):
        assert await exchange is None
    assert (stubborn.swallowed, exchange.cancelling()) == (1, 0)
    await until_only(before)


@pytest.mark.parametrize("how", ["notifications/cancelled", "DELETE"])
@pytest.mark.parametrize("tool", STUBBORN)
async def test_a_tool_of_a_session_that_swallows_its_cancellation_is_over(
    tool: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancelling, "CLEAN_UP_SECONDS", 0)
    before, stubborn, world = asyncio.all_tasks(), Stubborn(), SessionWorld()
    world.server.tool(getattr(stubborn, tool))
    session = await world.begin()
    connection = world.open(call(tool, progressToken=1), session=session)
    await stubborn.started.wait()

    await cancel(world, session, how)

    await connection.finished()
    # What it says while it has time to clean up may still be told; that it is done, or went wrong, is not.
    assert [message for message in connection.messages if "id" in message] == []
    assert (stubborn.swallowed, connection.is_ended) == (1, True)
    await until_only(before)


async def test_nothing_is_sent_any_more_on_an_exchange_that_is_closed() -> None:
    before, sent = asyncio.all_tasks(), list[Message]()

    async def send(message: Message) -> None:
        sent.append(message)

    exchange = exchange_on(send)
    exchange.is_closed = True

    await exchange.notify("notifications/message", {})
    exchange.post("notifications/message", {})

    await until_only(before)
    assert (sent, exchange.stream) == ([], None)


@pytest.mark.parametrize("tool", ["blocking", "waiting"])
async def test_a_request_that_has_had_its_time_when_the_server_stops_is_refused_and_the_tool_can_see_it(
    tool: str,
) -> None:
    watching, open_scopes = Watching(), set[CancelScope]()
    server = a_server()
    server.tool(getattr(watching, tool))
    world = McpWorld(ServerTarget(server), open_scopes=open_scopes)
    exchange = asyncio.create_task(world.send(CALL % tool.encode(), headers_for()))
    await watching.started.wait()

    for scope in tuple(open_scopes):
        scope.cancel()

    async with asyncio.timeout(PATIENCE):
        answer = await exchange
    assert answer is not None
    assert (answer.status, answer.headers["retry-after"], open_scopes) == (503, "5", set())
    assert await watching.both() == [False, True]


async def test_a_stream_that_has_had_its_time_when_the_server_stops_ends_without_a_response() -> None:
    watching, world = Watching(), SessionWorld()

    @world.server.tool
    async def telling(ctx: Context) -> str:
        await ctx.progress(1)
        return await watching.waiting(ctx)

    meta: dict[str, Any] = {**MODERN_META, "progressToken": 1}
    connection = world.open(
        call("telling", **meta), mcp_protocol_version="2026-07-28", mcp_method="tools/call", mcp_name="telling"
    )
    await watching.started.wait()

    for scope in tuple(world.open_scopes):
        scope.cancel()

    await connection.finished()
    assert [message["method"] for message in connection.messages] == ["notifications/progress"]
    assert connection.is_ended


async def test_a_request_of_a_session_that_has_had_its_time_when_the_server_stops_ends_without_a_response() -> None:
    world, watching, session = await a_session("waiting")
    connection = world.open(call("waiting"), session=session)
    await watching.started.wait()

    for scope in tuple(world.open_scopes):
        scope.cancel()

    await connection.finished()
    assert (connection.messages, world.open_scopes) == ([], set())
    assert await watching.both() == [False, True]
