"""Waiters for a change in the store, within this process.

Waking only shortens the wait: a waiter also polls the store, since the change may have been made by another process,
whose wake-ups may not be heard here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.wakeups import NO_WAKEUPS, Wakeups

HEARD_TIMES: Final = 5
"""How many times as long a waiter waits by itself while wake-ups are heard: one may be lost before anybody notices."""
_AT_ONCE: Final = 100
_PAUSE: Final = 0.05
"""Seconds between so many waiters and the next, when all are woken."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often those who wait look by themselves."""

    unheard_seconds: float
    """Seconds between two looks while other processes are not heard."""
    wakeups: Wakeups = NO_WAKEUPS

    @property
    def seconds(self) -> float:
        """Seconds until the next look, as things are."""
        return self.unheard_seconds * (HEARD_TIMES if self.wakeups.are_heard else 1)


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
        """Wake everybody, since what others did may have been missed; in parts, so that not all ask the store at once.

        In the event loop.
        """
        self._wake_part(iter(tuple(self._events)))

    def _wake_part(self, keys: Iterator[Hashable]) -> None:
        part: Iterable[Hashable] = tuple(islice(keys, _AT_ONCE))
        for key in part:
            self.wake(key)
        if part:
            asyncio.get_running_loop().call_later(_PAUSE, self._wake_part, keys)

    def wake(self, key: Hashable) -> None:
        """Wake all who wait for this."""
        for event in self._events.get(key, ()):
            event.set()


async def wait(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait for the event, for at most that long (None: for as long as it takes); say whether it came."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
