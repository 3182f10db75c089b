"""The time and the rate of a tool's calls."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from anyio import to_thread

from gatepost.resource.principal import Principal
from gatepost.server.calls import cancellation, timeouts
from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange
from gatepost.server.calls.rates import ProcessLimits
from gatepost.server.declared.tools import Tool
from gatepost.server.errors import InsufficientScope, InvalidArguments, ToolDefinitionError
from tests.patience import PATIENCE

Call = Callable[..., Awaitable[dict[str, Any]]]

AT_ONCE = 0.001
"""Seconds; what waits for something that never comes has taken longer."""


def failed(text: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "isError": True, **more}


def too_often(seconds: int) -> dict[str, Any]:
    return failed(f"ask was called too often; try again in {seconds} seconds.", _meta={"retryAfter": seconds})


STOPPED = failed("wait was stopped: it may take 0.001 seconds.")


async def test_a_call_in_time_is_answered_as_any(call: Call) -> None:
    async def add(a: int, ctx: Context) -> int:
        await asyncio.sleep(0)
        return a + len(ctx.user.subject)

    assert (await call(add, {"a": 1}, timeout=PATIENCE))["structuredContent"] == 6


async def test_a_call_that_takes_longer_is_cancelled_and_told_so(call: Call, caplog: pytest.LogCaptureFixture) -> None:
    cleaned_up = False

    async def wait() -> str:
        nonlocal cleaned_up
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned_up = True
        return "never"

    assert await call(wait, timeout=AT_ONCE) == STOPPED
    assert cleaned_up
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("gatepost.tools", "WARNING")
    assert record.getMessage() == "tool wait took longer than 0.001 s for alice"


async def test_a_tool_that_goes_on_all_the_same_is_ended(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellation, "CLEAN_UP_SECONDS", AT_ONCE)

    async def wait() -> str:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    assert await call(wait, timeout=AT_ONCE) == STOPPED


async def test_what_a_tool_returns_after_its_time_is_no_answer(call: Call) -> None:
    async def wait() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "late"

    assert await call(wait, timeout=AT_ONCE) == STOPPED


async def test_the_thread_of_a_plain_function_goes_on_alone_and_keeps_its_place(
    call: Call, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope, loop = cancellation.CancelScope(), asyncio.get_running_loop()
    monkeypatch.setattr(timeouts, "CancelScope", lambda: scope)
    go_on, limiter = threading.Event(), to_thread.current_default_thread_limiter()

    def wait() -> str:
        loop.call_soon_threadsafe(scope.cancel)  # as its time does, but not before the thread has begun
        assert go_on.wait(PATIENCE)
        raise LookupError("late")

    result = await call(wait, timeout=5)
    assert result == failed("wait was stopped: it may take 5 seconds.")
    assert limiter.borrowed_tokens == 1
    go_on.set()
    async with asyncio.timeout(PATIENCE):
        while limiter.borrowed_tokens:  # noqa: ASYNC110 - the limiter tells nobody
            await asyncio.sleep(0)
    assert caplog.records[-1].getMessage() == "tool wait failed for alice after the request was cancelled"


async def test_a_time_out_of_the_tools_own_and_a_cancellation_from_outside_are_what_they_are(call: Call) -> None:
    async def own() -> None:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()

    started = asyncio.Event()

    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    assert (await call(own, timeout=PATIENCE))["content"][0]["text"] == "The tool failed. Incident abababababababab."
    calling = asyncio.ensure_future(call(wait, timeout=PATIENCE))
    await started.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling


async def test_deciding_about_a_call_takes_of_its_time(call: Call) -> None:
    async def allow(_ctx: Context, _arguments: object) -> bool:
        await asyncio.Event().wait()
        return True

    async def wait() -> None: ...

    assert await call(wait, timeout=AT_ONCE, authorize=allow) == STOPPED


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan"), True, "5"])
def test_a_time_that_is_none_is_refused(timeout: Any) -> None:
    async def wait() -> None: ...

    with pytest.raises(ToolDefinitionError, match=r"wait: timeout is a number of seconds above 0, not "):
        Tool(wait, timeout=timeout)


@pytest.mark.parametrize("rate", ["often", 10])
def test_a_rate_that_is_none_is_refused(rate: Any) -> None:
    async def ask() -> None: ...

    with pytest.raises(ToolDefinitionError, match=r'ask: rate is a text such as "10/minute", not '):
        Tool(ask, rate=rate)


async def test_a_call_too_many_never_runs_and_is_told_when_it_may(principal: Principal) -> None:
    runs = []

    async def ask(question: str) -> None:
        runs.append(question)

    tool, limits = Tool(ask, rate="2/minute"), ProcessLimits(lambda: 1_000)
    answers = [await tool.call({"question": one}, Exchange(principal), limits=limits) for one in "abc"]

    assert answers[2] == too_often(30)
    assert [answer["isError"] for answer in answers] == [False, False, True]
    assert runs == ["a", "b"]
    # Where nobody counts, as in a test of the tool, every call runs.
    assert not (await tool.call({"question": "d"}, Exchange(principal)))["isError"]


async def test_arguments_that_do_not_fit_are_not_counted_and_a_refused_call_is(principal: Principal) -> None:
    async def ask(question: str) -> None:
        raise InsufficientScope(question)

    tool, limits = Tool(ask, rate="1/minute"), ProcessLimits(lambda: 1_000)
    for _ in range(3):
        with pytest.raises(InvalidArguments):
            await tool.call({}, Exchange(principal), limits=limits)
    with pytest.raises(InsufficientScope):
        await tool.call({"question": "a"}, Exchange(principal), limits=limits)

    assert await tool.call({"question": "a"}, Exchange(principal), limits=limits) == too_often(60)


def test_a_tool_without_conditions_is_plain() -> None:
    async def ask() -> None: ...

    async def ask_with(ctx: Context) -> None: ...

    assert Tool(ask).is_plain
    assert not Tool(ask_with).is_plain
    assert not Tool(ask, timeout=1).is_plain
    assert not Tool(ask, rate="1/day").is_plain
