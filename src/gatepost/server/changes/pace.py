"""When the change log is looked at next: at once where others are heard, else every second."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from gatepost.server.calls.waiters import Pace, wait
from gatepost.server.changes.bus import Change
from gatepost.stores.contract.wakeups import Wakeups

POLL_SECONDS: Final = 1.0
"""Between two polls while other processes are not heard."""
LEAST_SECONDS: Final = 0.1
"""Between two polls in any case, so that what changes many times a second is appended ten times."""


class ChangePace:
    """Waits between the polls of a process. Made in the event loop.

    Args:
        wakeups: whether others are heard. They hear of what is appended then, so nothing published waits for a poll.
        pause: waits for so many seconds.
    """

    def __init__(self, wakeups: Wakeups, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._wakeups, self._pace, self._pause = wakeups, Pace(POLL_SECONDS, wakeups), pause
        self._loop, self._news = asyncio.get_running_loop(), asyncio.Event()

    def wake(self) -> None:
        """Have the next poll come soon. In the event loop."""
        self._news.set()

    def on_change(self, change: Change) -> None:
        """Have a change that was published here appended soon. From any thread."""
        del change
        if self._wakeups.are_heard and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news.set)

    async def next_poll(self) -> None:
        """Return when it is time for a poll."""
        await self._pause(LEAST_SECONDS)
        await wait(self._news, self._pace.seconds - LEAST_SECONDS)
        self._news.clear()
