"""Work that ends when its client goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

from gatepost.oauth.reasons import Reason
from gatepost.server.calls.cancellation import RequestCancelled, Work
from gatepost.server.calls.channel import CallerLine
from gatepost.web.mcp.exchange.answers import Refused
from gatepost.web.site.request_body import ClientDisconnected

T = TypeVar("T")


async def run_while_connected(
    work: Coroutine[Any, Any, T], receive: Receive, line: CallerLine | None = None, among: set[Work] | None = None
) -> T:
    """Run `work` to its end and return what it returns; cancel it if the client disconnects before.

    Most tools never wait for anything, so the first step is taken by hand: work that ends in it costs no task at all.
    Only work that suspends gets a companion that waits for `http.disconnect`. The work itself always runs in the task
    it was started in, so that time-outs and context variables in it mean what they usually mean.

    Args:
        work: a coroutine that has not been started.
        receive: the ASGI channel of the request, its body read to the end.
        line: told when nobody waits for the result any more.
        among: holds the work while it waits, for whoever cancels all of it.

    Raises:
        ClientDisconnected: the client went away, and `work` was cancelled; whatever that did about it.
        Refused: the server stops and cancelled it: 503.
        Exception: whatever `work` raises.
    """
    try:
        awaited = work.send(None)
    except StopIteration as finished:
        result: T = finished.value
        return result
    running = Work(line, asyncio.current_task(), among)
    companion = asyncio.create_task(_cancel_on_departure(running, receive))
    try:
        return await running.finish(work, awaited)
    except RequestCancelled:
        if companion.done() and companion.result():
            raise ClientDisconnected from None
        message = "The server is shutting down."
        raise Refused(503, Reason.SHUTTING_DOWN, message, headers=((b"retry-after", b"5"),)) from None
    finally:
        companion.cancel()


async def _cancel_on_departure(work: Work, receive: Receive) -> bool:
    """Cancel the work when its client leaves; say whether it has."""
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
    except Exception:  # noqa: BLE001 - middleware that lets nobody listen twice is no reason to stop the work
        return False
    work.cancel()
    return True
