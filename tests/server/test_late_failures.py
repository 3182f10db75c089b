"""What a plain function raises when its request has been cancelled already is in the log, and nowhere else."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from gatepost.protocol.messages import Request
from gatepost.protocol.versions import REVISION_2025_11_25
from gatepost.resource.principal import Principal
from gatepost.server.calls.exchange import Exchange
from gatepost.server.dispatch import ServerTarget
from gatepost.server.errors import ToolError
from gatepost.server.handler_target import HandlerTarget
from gatepost.server.server import Server
from gatepost.server.target import Target
from tests.patience import PATIENCE


class Records(logging.Handler):
    """What was logged, and a way to wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()
        self.records = asyncio.Queue[logging.LogRecord]()

    def emit(self, record: logging.LogRecord) -> None:
        self.loop.call_soon_threadsafe(self.records.put_nowait, record)


async def late_record(build: Callable[[Callable[[], Any]], Target], request: Request, error: Exception) -> Any:
    """Cancel a request while its function blocks, have that raise, and return what is logged then."""
    loop, started, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def fail() -> str:
        loop.call_soon_threadsafe(started.set)
        assert go_on.wait(PATIENCE)
        raise error

    principal = Principal("alice", "client-1", frozenset(), "https://mcp.example.com/mcp", "issuer", None, None)
    caller = Exchange(principal)
    task = asyncio.create_task(build(fail).answer(request, REVISION_2025_11_25, caller))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    logger, records = logging.getLogger("gatepost"), Records()
    level = logger.level
    logger.addHandler(records)
    logger.setLevel(logging.INFO)
    try:
        go_on.set()
        async with asyncio.timeout(PATIENCE):
            record = await records.records.get()
    finally:
        logger.removeHandler(records)
        logger.setLevel(level)
    assert records.records.empty()
    return record


def with_a_tool(function: Callable[[], Any]) -> Target:
    server = Server("late")
    server.tool(function)
    return ServerTarget(server)


def with_a_prompt(function: Callable[[], Any]) -> Target:
    server = Server("late")
    server.prompt(function)
    return ServerTarget(server)


def with_a_handler(function: Callable[[], Any]) -> Target:
    return HandlerTarget(lambda _message: function(), name="late", random_bytes=bytes)


TOOL = Request(1, "tools/call", {"name": "fail", "arguments": {}})
PROMPT = Request(1, "prompts/get", {"name": "fail"})


@pytest.mark.parametrize(
    ("build", "request_", "words"),
    [
        (with_a_tool, TOOL, "tool fail failed for alice after the request was cancelled"),
        (with_a_prompt, PROMPT, "fail failed for alice after the request was cancelled"),
        (with_a_handler, TOOL, "incident 0000000000000000: the handler failed after its request was cancelled"),
    ],
)
async def test_a_late_failure_is_logged_with_its_trace(
    build: Callable[[Callable[[], Any]], Target], request_: Request, words: str
) -> None:
    error = LookupError("late")

    record = await late_record(build, request_, error)

    assert (record.levelname, record.exc_info[1]) == ("ERROR", error)
    assert record.getMessage().endswith(words)


@pytest.mark.parametrize(("build", "request_"), [(with_a_tool, TOOL), (with_a_prompt, PROMPT)])
async def test_a_late_answer_in_the_functions_own_words_is_no_fault(
    build: Callable[[Callable[[], Any]], Target], request_: Request
) -> None:
    record = await late_record(build, request_, ToolError("stopped"))

    assert (record.levelname, record.exc_info) == ("INFO", None)
