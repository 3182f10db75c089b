"""The requests of one connection that are under way, each in a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from gatepost.protocol.errors import RequestId


class CallsUnderWay:
    """Tasks by the ids of their requests."""

    def __init__(self) -> None:
        self._tasks: dict[RequestId, asyncio.Task[None]] = {}

    def begin(self, request_id: RequestId, work: Coroutine[Any, Any, None]) -> None:
        """Do what a request takes."""
        task = self._tasks[request_id] = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(lambda _: self._tasks.pop(request_id, None))

    def end(self, request_id: Any) -> None:
        """Cancel a request, if there is one of this id."""
        task = self._tasks.get(request_id) if type(request_id) in (int, str) else None
        if task is not None:
            task.cancel()

    async def close(self, beside: asyncio.Task[None] | None) -> None:
        """Cancel all of them, and a task beside them, and wait for their ends."""
        tasks = [*self._tasks.values(), *([] if beside is None else [beside])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
