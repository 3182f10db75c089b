"""A client that goes away stops the work that was done for it (security.md, "MCP transport")."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message

from gatepost.server.dispatch import ServerTarget
from gatepost.web.site.disconnect import run_while_connected
from gatepost.web.site.request_body import ClientDisconnected
from tests.web.mcp.mcp_harness import McpWorld, Pause, a_server, headers_for

CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait"}}'


async def never() -> Message:
    """A client that stays."""
    await asyncio.Event().wait()
    raise AssertionError


def nobody_listens() -> Awaitable[Message]:
    """A channel that must not be read."""
    raise AssertionError


async def test_a_client_that_goes_away_cancels_the_tool_and_gets_no_answer() -> None:
    pause, gone = Pause(), asyncio.Event()
    world = McpWorld(ServerTarget(a_server(pause)))
    exchange = asyncio.create_task(world.send(CALL, headers_for(), disconnect=gone))
    await pause.started.wait()

    gone.set()

    assert await exchange is None
    assert pause.ended == "cancelled"
    assert exchange.cancelling() == 0


async def test_a_client_that_stays_gets_the_answer_of_a_tool_that_waits() -> None:
    pause = Pause()
    world = McpWorld(ServerTarget(a_server(pause)))
    exchange = asyncio.create_task(world.send(CALL, headers_for()))
    await pause.started.wait()

    pause.go_on.set()
    answer = await exchange

    assert answer is not None
    assert answer.body["result"]["content"] == [{"type": "text", "text": "finished"}]


async def test_a_client_that_goes_away_while_it_sends_gets_no_answer() -> None:
    chunks: list[Message] = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]

    assert await McpWorld().send(b"", headers_for(), chunks=chunks) is None


async def test_a_server_that_shuts_down_cancels_the_tool() -> None:
    pause = Pause()
    world = McpWorld(ServerTarget(a_server(pause)))
    exchange = asyncio.create_task(world.send(CALL, headers_for()))
    await pause.started.wait()

    exchange.cancel()

    with pytest.raises(asyncio.CancelledError):
        await exchange
    assert pause.ended == "cancelled"


async def test_work_that_waits_for_nothing_costs_no_task() -> None:
    before = asyncio.all_tasks()

    async def work() -> tuple[str, set[asyncio.Task[object]]]:
        return "done", asyncio.all_tasks() - before

    assert await run_while_connected(work(), nobody_listens) == ("done", set())


async def test_the_companion_of_work_that_waits_ends_with_it() -> None:
    before = asyncio.all_tasks()

    async def work() -> int:
        await asyncio.sleep(0)
        return len(asyncio.all_tasks() - before)

    assert await run_while_connected(work(), never) == 1
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def raises_at_once() -> None:
    raise LookupError


async def raises_later() -> None:
    await asyncio.sleep(0)
    raise LookupError


@pytest.mark.parametrize("work", [raises_at_once, raises_later])
async def test_what_the_work_raises_is_raised(work: Callable[[], Awaitable[None]]) -> None:
    with pytest.raises(LookupError):
        await run_while_connected(work(), never)  # type: ignore[arg-type]  # async functions return coroutines


async def test_time_outs_and_context_variables_mean_what_they_usually_mean() -> None:
    variable = contextvars.ContextVar("variable", default="outside")

    async def work() -> str:
        variable.set("inside")
        try:
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        except TimeoutError:
            return "timed out"
        return "impossible"

    assert await run_while_connected(work(), never) == "timed out"
    assert variable.get() == "inside"


async def test_work_that_finishes_although_it_was_cancelled_has_nobody_to_answer() -> None:
    gone = asyncio.Event()

    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def work() -> str:
        gone.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return "cleaned up"

    with pytest.raises(ClientDisconnected):
        await run_while_connected(work(), receive)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_late_piece_of_the_body_is_no_disconnect() -> None:
    messages: list[Message] = [{"type": "http.request", "body": b""}, {"type": "http.disconnect"}]

    async def receive() -> Message:
        return messages.pop(0)

    with pytest.raises(ClientDisconnected):
        await run_while_connected(asyncio.Event().wait(), receive)


async def test_a_channel_that_nobody_may_read_twice_leaves_the_work_alone() -> None:
    async def receive() -> Message:
        raise RuntimeError

    async def work() -> str:
        for _ in range(5):
            await asyncio.sleep(0)
        return "done"

    assert await run_while_connected(work(), receive) == "done"
