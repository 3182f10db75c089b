"""Time-outs of tools: how long one call may take (MCP server/tools, "Security Considerations")."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from gatepost.server.calls.cancellation import CancelScope, RequestCancelled

T = TypeVar("T")


class CallTimedOut(Exception):
    """A call took longer than it may."""


async def run_within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that has not begun, and return what it returns, if that is in time.

    Otherwise it is cancelled as a request is that its client cancels: it has time to clean up, a thread that it waits
    for goes on alone, and nothing that comes of it afterwards counts.

    Raises:
        CallTimedOut: it took longer.
        BaseException: whatever it raises.
    """
    # Without the exchange, which stays open: the client still gets an answer.
    scope = CancelScope()
    timer = asyncio.get_running_loop().call_later(seconds, scope.cancel)
    try:
        return await scope.run(work)
    except RequestCancelled:
        raise CallTimedOut from None
    finally:
        timer.cancel()
