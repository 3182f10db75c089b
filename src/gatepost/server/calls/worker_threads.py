"""Running plain functions of users in threads, for requests that may be cancelled meanwhile.

Nobody can stop a thread. A request that is cancelled ends at once all the same: its thread goes on alone, what it
returns is dropped, and what it raises is for the log. Until it ends it takes the place of another thread (anyio's
default limiter, 40 at a time), so that requests which come and are cancelled again never make more threads than that.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError as CancelledWait
from dataclasses import field
from typing import Any, Final, TypeVar, cast

from anyio import CapacityLimiter, WouldBlock, to_thread

from gatepost.late_dataclass import dataclass

T = TypeVar("T")

_here: Final = threading.local()
"""In a worker thread: `job`, what runs there."""


async def run_in_thread(function: Callable[[], T], on_late_failure: Callable[[BaseException], object]) -> T:
    """Run `function` in a worker thread, with the caller's context variables, and return what it returns.

    Args:
        function: what may block.
        on_late_failure: gets what `function` raised after the caller was cancelled; in the event loop, or in the thread
            if that is over.

    Raises:
        CancelledError: the caller was cancelled.
        BaseException: whatever `function` raises.
    """
    job = _Job(function, on_late_failure)
    # Asyncio's own cancellation ends this wait in any case; saying so keeps anyio's from being held up.
    return cast("T", await to_thread.run_sync(job.run, abandon_on_cancel=True, limiter=cast("CapacityLimiter", job)))


def wait_in_thread(work: Coroutine[Any, Any, T]) -> T:
    """Do what `Context.wait` does, and raise what it does, in a function that `run_in_thread` runs."""
    job: _Job | None = getattr(_here, "job", None)
    if job is None:
        work.close()
        raise RuntimeError("ctx.wait() is for tools that are plain functions; here, write await")
    return job.wait(work)


@dataclass(slots=True, eq=False)
class _Job:
    """One function in one thread, and its place among the threads.

    For anyio it is the limiter of its thread, because anyio's own gives the place back when the caller is cancelled.

    Loop and thread each set their own mark first and look at the other's then. So at least one of them sees both, and
    `_settle` does its work once.
    """

    function: Callable[[], Any]
    on_late_failure: Callable[[BaseException], object]
    limiter: CapacityLimiter = field(default_factory=to_thread.current_default_thread_limiter)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    error: BaseException | None = None
    waiting: asyncio.Task[Any] | None = None
    is_started: bool = False
    is_abandoned: bool = False
    is_done: bool = False
    is_settled: bool = False

    async def __aenter__(self) -> None:
        try:
            self.limiter.acquire_on_behalf_of_nowait(self)
        except WouldBlock:
            await self.limiter.acquire_on_behalf_of(self)

    async def __aexit__(self, kind: type[BaseException] | None, _error: object, _traceback: object) -> None:
        if kind is not asyncio.CancelledError:
            self.limiter.release_on_behalf_of(self)
            return
        self.is_abandoned = True
        if self.waiting is not None:
            self.waiting.cancel()
        if self.is_done or not self.is_started:
            self._settle()

    def run(self) -> Any:
        """Call the function, unless nobody waits for it any more. In the thread."""
        self.is_started = True
        _here.job = self
        try:
            return None if self.is_abandoned else self.function()
        except BaseException as error:
            self.error = error
            raise
        finally:
            _here.job = None
            self.is_done = True
            if self.is_abandoned:
                try:
                    self.loop.call_soon_threadsafe(self._settle)
                except RuntimeError:  # the loop is over, and nobody counts threads any more
                    self._report()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` in the event loop. In the thread."""
        if self.is_abandoned:
            # The loop may be over; it would then never answer.
            work.close()
            raise CancelledWait
        return asyncio.run_coroutine_threadsafe(self._waited(work), self.loop).result()

    async def _waited(self, work: Coroutine[Any, Any, T]) -> T:
        if self.is_abandoned:
            work.close()
            raise asyncio.CancelledError
        self.waiting = asyncio.current_task()
        try:
            return await work
        finally:
            self.waiting = None

    def _settle(self) -> None:
        if not self.is_settled:
            self.is_settled = True
            self.limiter.release_on_behalf_of(self)
            self._report()

    def _report(self) -> None:
        error = self.error
        # A wait that was cancelled with the caller is no failure.
        if error is not None and not isinstance(error, asyncio.CancelledError | CancelledWait):
            self.on_late_failure(error)
