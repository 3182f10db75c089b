"""Cancel scopes: a request is cancelled, has time to clean up, and is closed where it stands if it goes on.

Code that catches `CancelledError` and goes on, a loop that tries again for instance, would otherwise hold its request,
and at the end the whole server, for as long as it likes.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Coroutine
from dataclasses import field
from types import CoroutineType
from typing import Any, Final, TypeVar

from gatepost.coroutines import resume
from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import ProtocolError
from gatepost.server.calls.exchange import Exchange
from gatepost.server.errors import InsufficientScope

T = TypeVar("T")

CLEAN_UP_SECONDS: Final = 10.0
"""How long a coroutine may go on after it was cancelled, unless told otherwise."""
_MOST_CLOSINGS: Final = 10
"""How often a coroutine may begin to wait again while it is being closed."""

logger = logging.getLogger("gatepost.mcp")


class RequestCancelled(Exception):
    """The request was cancelled; it gets no answer."""


def is_cancellation(error: BaseException) -> bool:
    """Say whether `error`, which user code raised in this task, is the cancellation of the task itself.

    A `CancelledError` may also come from elsewhere: from awaiting something that another has cancelled. Nobody took the
    request back then, so that is a failure like any other, and is answered as one.
    """
    if not isinstance(error, asyncio.CancelledError):
        return False
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


@dataclass(slots=True, eq=False)
class CancelScope:
    """Cancels the coroutine that answers one request, from where it first waits for something.

    The coroutine runs in the task that calls `run` or `resume`.
    """

    exchange: Exchange | None = None
    """Closed when the request is cancelled."""
    task: asyncio.Task[Any] | None = None
    """The one that calls `resume`; may be set later, but before `cancel` is called."""
    open_scopes: set[CancelScope] = field(default_factory=set)
    """Holds the scope while its coroutine waits, for whoever cancels all of them."""
    is_cancelled: bool = field(default=False, init=False)
    """Whether `cancel` was called."""
    _is_given_up: bool = field(default=False, init=False)
    _cancellations: int = field(default=0, init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)
    _coroutine: Coroutine[Any, Any, Any] | None = field(default=None, init=False)

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine that has not begun; otherwise as `resume`."""
        try:
            # Most end in their first step, and then there is nothing to cancel.
            awaited = coroutine.send(None)
        except StopIteration as finished:
            result: T = finished.value
            return result
        return await self.resume(coroutine, awaited)

    async def resume(self, coroutine: Coroutine[Any, Any, T], awaited: Any) -> T:
        """Go on with a coroutine whose first step was taken by hand, and return what it returns.

        Args:
            coroutine: it is suspended.
            awaited: what its first step gave.

        Raises:
            RequestCancelled: `cancel` was called, whatever the coroutine did about it.
            CancelledError: somebody else cancelled the task.
            Exception: whatever the coroutine raises.
        """
        task = self.task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine under asyncio always runs in a task; tells mypy
        self._coroutine = coroutine
        self.open_scopes.add(self)
        try:
            result = await resume(coroutine, awaited, self._is_ended)
        except (asyncio.CancelledError, Exception) as error:
            if not self.is_cancelled:
                if isinstance(error, asyncio.CancelledError) and self.exchange is not None:
                    self.exchange.is_closed = True
                raise
            if not isinstance(error, asyncio.CancelledError | ProtocolError | InsufficientScope):
                logger.exception("a request failed after it was cancelled")
        else:
            if not self.is_cancelled:
                return result
        finally:
            self.open_scopes.discard(self)
            self._coroutine = None
            if self._timer is not None:
                self._timer.cancel()
            for _ in range(self._cancellations):
                # They were ours and end here; the task may still have something to do.
                task.uncancel()
        raise RequestCancelled

    def cancel(self, clean_up_seconds: float | None = None) -> None:
        """Cancel the coroutine, and close it if it goes on for longer than that. In the event loop.

        Another call changes nothing, except that it may leave it less time.
        """
        if self.task is None:
            return
        loop = self.task.get_loop()
        seconds = CLEAN_UP_SECONDS if clean_up_seconds is None else clean_up_seconds
        if self._timer is not None:
            if self._timer.when() <= loop.time() + seconds:
                return
            self._timer.cancel()
        self._timer = loop.call_later(seconds, self._give_up, self.task)
        if not self.is_cancelled:
            self.is_cancelled = True
            if self.exchange is not None:
                # First: `ctx.is_cancelled` is true before the tool hears of it (docs/decisions/0026).
                self.exchange.is_closed = True
            self._cancellations += 1
            self.task.cancel()

    def _give_up(self, task: asyncio.Task[Any]) -> None:
        if self._coroutine is not None:
            self._is_given_up = True
            logger.warning("a request that was cancelled went on, and is ended in %s", _path_of(self._coroutine))
            self._cancellations += 1
            task.cancel()

    def _is_ended(self) -> bool:
        """Say whether the coroutine has had its time; then it is closed now."""
        if self._is_given_up and self._coroutine is not None:
            _close(self._coroutine)
        return self._is_given_up


def _close(outermost: Coroutine[Any, Any, Any]) -> None:
    """Close a coroutine, from the innermost one it awaits outwards, so that each gets to its `finally`."""
    for _ in range(_MOST_CLOSINGS):
        if all(_is_closed(coroutine) for coroutine in reversed(_chain_of(outermost))):
            return
    logger.error("a request that was cancelled cannot be ended in %s", _path_of(outermost))


def _is_closed(coroutine: CoroutineType[Any, Any, Any]) -> bool:
    """Close a coroutine and return True; False when it waits for something again, in its `finally` for instance."""
    try:
        coroutine.close()
    except BaseException:
        if inspect.getcoroutinestate(coroutine) != inspect.CORO_CLOSED:
            return False
        logger.exception("a request failed while it was ended")
    return True


def _chain_of(outermost: Any) -> list[CoroutineType[Any, Any, Any]]:
    """Return the coroutines that await each other, the outermost first.

    They are closed one by one because `close` on the outermost gives up on an inner one that waits again in its
    `finally`. `cr_await` is the documented way down (`inspect`, "Types and members"); a future, say, ends the chain.
    """
    chain: list[CoroutineType[Any, Any, Any]] = []
    awaited = outermost
    while inspect.iscoroutine(awaited):
        chain.append(awaited)
        awaited = awaited.cr_await
    return chain


def _path_of(outermost: Coroutine[Any, Any, Any]) -> str:
    return " > ".join(coroutine.cr_code.co_qualname for coroutine in _chain_of(outermost))
