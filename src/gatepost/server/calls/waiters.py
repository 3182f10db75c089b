"""Waiters for a change in the store, within this process.

Waking only shortens the wait: a waiter also polls the store, since the change may have been made by another process,
whose wake-ups may not be heard here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class Waiters:
    """The events that are waited for, by what they stand for."""

    def __init__(self) -> None:
        self._events: dict[Hashable, set[asyncio.Event]] = {}

    @contextmanager
    def expected(self, key: Hashable) -> Iterator[asyncio.Event]:
        """Give an event that `wake` sets; what happens between a poll and the wait for it is not missed."""
        event = asyncio.Event()
        self._events.setdefault(key, set()).add(event)
        try:
            yield event
        finally:
            self._events[key].discard(event)
            if not self._events[key]:
                del self._events[key]

    def is_expected(self, key: Hashable) -> bool:
        """Say whether somebody here waits for this."""
        return key in self._events

    def wake_all(self) -> None:
        """Wake everybody: what others did may have been missed."""
        for key in self._events:
            self.wake(key)

    def wake(self, key: Hashable) -> None:
        """Wake all who wait for this."""
        for event in self._events.get(key, ()):
            event.set()


async def wait(event: asyncio.Event, seconds: float) -> bool:
    """Wait for the event, for at most that long; say whether it came."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
