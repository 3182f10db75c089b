"""Keep-alive: streams and requests under way get comments, and streams that are no longer admitted end.

All share one timer, which looks after a part of them at a time, so that thousands of them cost no task each. See
docs/decisions/0034-silence.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.web.mcp.exchange.event_stream import EventResponse

KEEP_ALIVE_SECONDS: Final = 15
"""How often each stream gets a comment, and is asked whether it is still admitted."""
_PARTS: Final = 15

CallLater = Callable[[float, Callable[[], None]], object]
"""As `asyncio.AbstractEventLoop.call_later`: seconds, and what to call then."""
IsAdmitted = Callable[[], Awaitable[bool]]
"""Says whether session and access token of a stream still count."""


class KeptAlive(Protocol):
    """What is kept alive."""

    async def keep_alive(self) -> None:
        """Send something that clients pass over, if anything can be sent now."""


class KeepAlive:
    """The streams and requests that are kept alive.

    Args:
        seconds: how often each gets a comment.
        call_later: runs the timer; the event loop's by default.
    """

    def __init__(self, seconds: float = KEEP_ALIVE_SECONDS, call_later: CallLater | None = None) -> None:
        self.seconds = seconds
        self._call_later = call_later
        self._parts: tuple[set[_Watched], ...] = tuple(set() for _ in range(_PARTS))
        self._turn = 0
        self._last_added = 0
        self._is_ticking = False

    @property
    def streams(self) -> int:
        """How many streams are kept alive, without requests that are under way."""
        return sum(watched.is_stream for part in self._parts for watched in part)

    def add(
        self,
        response: EventResponse,
        is_admitted: IsAdmitted | None = None,
        end: Callable[[], Awaitable[None]] | None = None,
    ) -> Callable[[], None]:
        """Keep a stream alive from now on, until what this returns is called. In the event loop.

        Args:
            response: gets the comments.
            is_admitted: asked each time; None for a stream that always is.
            end: ends a stream that is not.
        """
        # Spread, so that those that come at once do not wake up at once.
        self._last_added = (self._last_added + 1) % _PARTS
        return self._add(_Watched(response, self._parts[self._last_added], is_admitted, end)).stop_at_once

    def add_request(self, request: KeptAlive) -> Callable[[], None]:
        """Keep a request alive that is under way, for the first time in `seconds`, until what this returns is called.

        A write that is under way then goes on, for what follows would else come without its beginning.
        """
        return self._add(_Watched(request, self._parts[self._turn])).stop

    def _add(self, watched: _Watched) -> _Watched:
        watched.part.add(watched)
        self._tick_on()
        return watched

    def _tick_on(self) -> None:
        if not self._is_ticking:
            self._is_ticking = True
            (self._call_later or asyncio.get_running_loop().call_later)(self.seconds / _PARTS, self._tick)

    def _tick(self) -> None:
        self._is_ticking = False
        self._turn = (self._turn + 1) % _PARTS
        for watched in self._parts[self._turn]:
            # A client that has not taken the last comment yet needs no second one.
            if watched.task is None:
                watched.task = asyncio.get_running_loop().create_task(watched.look_after())
        if any(self._parts):
            self._tick_on()


@dataclass(slots=True, eq=False)
class _Watched:
    kept: KeptAlive
    part: set[_Watched]
    """Those that are looked after at one time, this one until it stops."""
    is_admitted: IsAdmitted | None = None
    end: Callable[[], Awaitable[None]] | None = None
    task: asyncio.Task[None] | None = None

    @property
    def is_stream(self) -> bool:
        return isinstance(self.kept, EventResponse)

    def stop(self) -> None:
        self.part.discard(self)

    def stop_at_once(self) -> None:
        self.stop()
        if self.task is not None:
            self.task.cancel()

    async def look_after(self) -> None:
        try:
            if self not in self.part:
                pass
            elif self.end is None or await self._may_go_on():
                await self.kept.keep_alive()
            else:
                await self.end()
        except OSError:
            # The client is gone, and its request is about to find out.
            pass
        finally:
            self.task = None

    async def _may_go_on(self) -> bool:
        try:
            return self.is_admitted is None or await self.is_admitted()
        except StoreUnavailable:
            # What cannot be known now is no reason to end what was allowed; it is asked again in a moment.
            return True
