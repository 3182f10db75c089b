"""What a client of either era gets of a call that took too long, or came too often."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gatepost.assembly.call_limits import SharedCallLimits
from gatepost.oauth.limits import Rate
from gatepost.server.calls.context import Context
from gatepost.server.dispatch import ServerTarget
from gatepost.server.server import Server
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.sql.sqlite import memory_store
from gatepost.web.site.limits import Limits
from tests.web.mcp.mcp_harness import NOW, McpWorld
from tests.web.mcp.sessions.session_world import SessionWorld, call, text_of

CALL = {"name": "ask", "arguments": {}}


def a_rated_server() -> Server:
    server = Server("rated")

    @server.tool(rate="2/minute")
    async def ask() -> str:
        return "answered"

    return server


@pytest.mark.parametrize("era", ["modern", "handshake"])
async def test_processes_count_one_persons_calls_together(era: str) -> None:
    store = memory_store()
    worlds = []
    for _ in range(2):
        limits = SharedCallLimits(Limits(store=store.limits, now=lambda: NOW), "/mcp")
        worlds.append(McpWorld(ServerTarget(a_rated_server(), limits=limits)))
    answers = [await getattr(world, era)("tools/call", CALL) for world in (*worlds, *worlds)]

    results = [answer.body["result"] for answer in answers]
    assert [answer.status for answer in answers] == [200, 200, 200, 200]
    assert [result["isError"] for result in results] == [False, False, True, True]
    assert results[2]["_meta"]["retryAfter"] == 30
    assert results[2]["content"][0]["text"] == "ask was called too often; try again in 30 seconds."


async def test_a_store_that_cannot_count_is_503_and_the_call_does_not_run() -> None:
    class Down:
        async def admit(self, key: str, rate: Rate) -> None:
            raise StoreUnavailable(f"{key} {rate}")

    answer = await McpWorld(ServerTarget(a_rated_server(), limits=Down())).modern("tools/call", CALL)

    assert (answer.status, answer.body["error"]["code"]) == (503, -32603)


@pytest.mark.parametrize("era", ["modern", "handshake"])
async def test_a_call_that_took_too_long_is_answered(era: str) -> None:
    server = Server("slow")

    @server.tool(timeout=0.001)
    async def ask() -> str:
        await asyncio.Event().wait()
        return "never"

    answer = await getattr(McpWorld(ServerTarget(server)), era)("tools/call", CALL)

    result: Any = answer.body["result"]
    assert (answer.status, result["isError"]) == (200, True)
    assert result["content"] == [{"type": "text", "text": "ask was stopped: it may take 0.001 seconds."}]


async def test_a_call_whose_answer_is_a_stream_already_is_answered_on_it() -> None:
    world = SessionWorld()

    @world.server.tool(timeout=0.001)
    async def slow(ctx: Context) -> str:
        await ctx.progress(1)
        await asyncio.Event().wait()
        return "never"

    connection = await world.send(call("slow", progressToken="p"), session=await world.begin())

    assert connection.messages[0]["method"] == "notifications/progress"
    assert text_of(connection.messages[-1]) == "slow was stopped: it may take 0.001 seconds."
