"""Context managers that are held open in a task of their own, as an ASGI server does with the lifespan of its app.

Fixtures are set up and torn down in different tasks (pytest-asyncio), and task groups have to be left in the task that
they were entered in.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Generic, Self, TypeVar

_Value = TypeVar("_Value")


class OwnTask(Generic[_Value]):
    """Enters an asynchronous context manager in a new task, and leaves it there."""

    def __init__(self, context: AbstractAsyncContextManager[_Value]) -> None:
        self._context = context
        self._is_over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> _Value:
        """Enter; return what entering returned, or raise what it raised."""
        entered = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._hold(entered), name="gatepost-testing")
        try:
            value: _Value = await entered
        except asyncio.CancelledError:
            self._task.cancel()
            await asyncio.wait([self._task])
            raise
        return value

    async def close(self) -> None:
        """Leave; raise what leaving raised. Closing twice is fine, and so is closing what was never open."""
        self._is_over.set()
        task, self._task = self._task, None
        if task is not None:
            await task

    async def _hold(self, entered: asyncio.Future[_Value]) -> None:
        try:
            async with self._context as value:
                entered.set_result(value)
                await self._is_over.wait()
        except Exception as error:
            if entered.done():
                raise
            entered.set_exception(error)
        finally:
            entered.cancel()  # whoever waits must not wait for ever; nothing where it is known already


class HeldOpen:
    """Is an asynchronous context manager, and is held open in a task of its own; subclasses say what that means."""

    _life: OwnTask[None] | None = None

    def _held(self) -> AbstractAsyncContextManager[None]:
        """Return what is entered and left."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        running_loop()
        life = OwnTask(self._held())
        await life.open()
        self._life = life
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        life, self._life = self._life, None
        if life is not None:
            await life.close()


def running_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop.

    Raises:
        RuntimeError: it is not one of asyncio.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "gatepost.testing needs the event loop of asyncio. With the pytest plugin of anyio, let the fixture "
            'anyio_backend return "asyncio".'
        ) from None
