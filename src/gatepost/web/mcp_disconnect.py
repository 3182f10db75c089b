"""Work that ends when its client goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

from gatepost.web.request_body import ClientDisconnected
from gatepost.web.suspended import resume

T = TypeVar("T")


async def run_while_connected(work: Coroutine[Any, Any, T], receive: Receive) -> T:
    """Run `work` to its end and return what it returns; cancel it if the client disconnects before.

    Most tools never wait for anything, so the first step is taken by hand: work that ends in it costs no task at all.
    Only work that suspends gets a companion that waits for `http.disconnect`. The work itself always runs in the task
    it was started in, so that time-outs and context variables in it mean what they usually mean.

    Args:
        work: a coroutine that has not been started.
        receive: the ASGI channel of the request, its body read to the end.

    Raises:
        ClientDisconnected: the client went away, and `work` was cancelled.
        Exception: whatever `work` raises.
    """
    try:
        awaited = work.send(None)
    except StopIteration as finished:
        result: T = finished.value
        return result
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine under asyncio always runs in a task; tells mypy
    departure = _Departure(task)
    companion = asyncio.create_task(departure.wait(receive))
    try:
        return await resume(work, awaited)
    except asyncio.CancelledError:
        if departure.noticed:
            raise ClientDisconnected from None
        raise
    finally:
        companion.cancel()
        if departure.noticed:
            # The cancellation was ours and ends here; the task has still to finish the request.
            task.uncancel()


class _Departure:
    """Cancels a task when the client of its request goes away."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = task
        self.noticed = False

    async def wait(self, receive: Receive) -> None:
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        except Exception:  # noqa: BLE001 - middleware that lets nobody listen twice is no reason to stop the work
            return
        self.noticed = True
        self._task.cancel()
