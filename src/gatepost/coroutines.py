"""Running coroutines otherwise than by `await`: on from their first step, and again and again in the background."""

from __future__ import annotations

import asyncio
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")


@types.coroutine
def resume(
    work: Coroutine[Any, Any, T], awaited: Any, is_ended: Callable[[], bool] | None = None
) -> Generator[Any, Any, T]:
    """Go on with a coroutine that has been started: what `await` does, from the second step on (PEP 380).

    Args:
        work: the coroutine, suspended.
        awaited: what its last step gave.
        is_ended: asked when something is thrown in, such as a cancellation; work that has been closed never sees it.
    """
    step: Callable[[Any], Any]
    while True:
        try:
            value = yield awaited
        except BaseException as error:  # cancellation and all else is for the work to see
            if is_ended is not None and is_ended():
                raise
            step, value = work.throw, error
        else:
            step = work.send
        try:
            awaited = step(value)
        except StopIteration as finished:
            result: T = finished.value
            return result


@asynccontextmanager
async def repeating(
    work: Callable[[], Awaitable[None]], wait: Callable[[], Awaitable[None]], *, name: str
) -> AsyncIterator[None]:
    """Do `work` in the background, each time that `wait` returns, and once more at the end.

    Args:
        work: what is done; what it raises ends the repetition, and is raised at the end of the context.
        wait: returns when it is time.
        name: of the task.
    """

    async def repeat() -> None:
        while True:
            await wait()
            await work()

    task = asyncio.create_task(repeat(), name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await work()
