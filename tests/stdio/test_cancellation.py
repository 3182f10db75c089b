"""A request that is cancelled, or that still runs when the input ends, is over without an answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from gatepost import Context, Server, ToolError
from gatepost.server.calls import cancellation as cancelling
from gatepost.server.dispatch import ServerTarget
from gatepost.server.handler_target import HandlerTarget
from tests.patience import PATIENCE

Connect = Callable[..., AbstractAsyncContextManager[Any]]


class Tools:
    """Tools that are told to stop and do not all do so."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.started = asyncio.Event()
        self.look = threading.Event()
        self.seen = asyncio.Queue[bool]()
        self.server = Server("stubborn")
        for tool in (self.looks, self.answers, self.refuses, self.asks, self.goes_on):
            self.server.tool(tool)

    def looks(self, ctx: Context) -> str:
        """Block a thread, and look whether the call is cancelled."""
        self.loop.call_soon_threadsafe(self.started.set)
        assert self.look.wait(PATIENCE)
        self.loop.call_soon_threadsafe(self.seen.put_nowait, ctx.is_cancelled)
        return ""

    async def until_cancelled(self, ctx: Context) -> None:
        """Wait, and swallow the cancellation."""
        self.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.seen.put_nowait(ctx.is_cancelled)

    async def answers(self, ctx: Context) -> str:
        """Answer all the same."""
        await self.until_cancelled(ctx)
        ctx.log.error("too late")
        return "done all the same"

    async def refuses(self, ctx: Context) -> str:
        """Answer with an error of its own."""
        await self.until_cancelled(ctx)
        raise ToolError("too late")

    async def asks(self, ctx: Context) -> str:
        """Ask the client what it cannot answer, which is an error of the protocol."""
        await self.until_cancelled(ctx)
        await ctx.roots()
        return ""

    async def goes_on(self, ctx: Context) -> str:
        """Wait for ever, whatever comes."""
        while True:
            await self.until_cancelled(ctx)

    async def begin(self, client: Any, name: str) -> None:
        """Call a tool, as request 7 of the handshake era."""
        await client.initialize()
        await client.call(name)
        async with asyncio.timeout(PATIENCE):
            await self.started.wait()

    async def saw(self) -> bool:
        """What the tool saw when it looked."""
        self.look.set()
        async with asyncio.timeout(PATIENCE):
            return await self.seen.get()


async def until_only(tasks: set[asyncio.Task[Any]]) -> None:
    """Wait until no other tasks are left."""
    async with asyncio.timeout(PATIENCE):
        while asyncio.all_tasks() - tasks:  # noqa: ASYNC110 - tasks tell nobody
            await asyncio.sleep(0)
    await asyncio.sleep(0)  # for those who wait for their end


ALL = ["looks", "answers", "refuses", "asks", "goes_on"]


@pytest.mark.parametrize("name", ALL)
async def test_a_cancelled_request_is_over_whatever_its_tool_does(
    connect: Connect, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cancelling, "CLEAN_UP_SECONDS", 0)
    before, tools = asyncio.all_tasks(), Tools()
    async with connect(ServerTarget(tools.server)) as client:
        await tools.begin(client, name)

        await client.tell(method="notifications/cancelled", params={"requestId": 7})

        await until_only(before)
        assert await tools.saw()
        # The id is free again, and nothing was said for the request.
        await client.tell(id=7, method="ping")
        assert await client.answer() == {"jsonrpc": "2.0", "id": 7, "result": {}}
        assert client.received.empty()
    # A cancellation is no fault of anybody's.
    assert [record for record in caplog.records if record.name == "gatepost.mcp" and record.exc_info] == []


@pytest.mark.parametrize("name", ALL)
async def test_what_runs_when_the_input_ends_is_over_whatever_its_tool_does(connect: Connect, name: str) -> None:
    before, tools = asyncio.all_tasks(), Tools()
    async with connect(ServerTarget(tools.server)) as client:
        await tools.begin(client, name)

        async with asyncio.timeout(PATIENCE):
            await client.connection.finish(0)

        assert asyncio.all_tasks() == before
        assert await tools.saw()
        assert client.received.empty()


async def test_what_was_cancelled_before_the_input_ends_has_no_longer_than_the_rest(connect: Connect) -> None:
    tools = Tools()
    async with connect(ServerTarget(tools.server)) as client:
        await tools.begin(client, "goes_on")
        await client.tell(method="notifications/cancelled", params={"requestId": 7})

        async with asyncio.timeout(PATIENCE / 2):
            await client.connection.finish(0)


async def test_a_call_that_nobody_cancels_sees_that(connect: Connect) -> None:
    tools = Tools()
    async with connect(ServerTarget(tools.server)) as client:
        await tools.begin(client, "looks")
        assert not await tools.saw()
        assert (await client.answer())["id"] == 7


async def test_a_notification_that_is_not_taken_note_of_in_time_is_over_as_well(connect: Connect) -> None:
    begun = asyncio.Event()

    async def handler(message: dict[str, Any]) -> None:
        if message["method"] != "notifications/initialized":
            return
        while True:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    before = asyncio.all_tasks()
    async with connect(HandlerTarget(handler, name="bare")) as client:
        await client.tell(method="notifications/initialized")
        await begun.wait()

        async with asyncio.timeout(PATIENCE):
            await client.connection.finish(0)

        assert asyncio.all_tasks() == before


async def test_a_tool_whose_own_task_was_cancelled_is_answered(connect: Connect) -> None:
    server = Server("given up")

    @server.tool
    async def wait_for_another() -> None:
        another = asyncio.create_task(asyncio.Event().wait())
        another.cancel()
        await another

    async with connect(ServerTarget(server)) as client:
        answer = await client.ask("tools/call", name="wait_for_another", arguments={})

    assert answer["result"]["isError"]
