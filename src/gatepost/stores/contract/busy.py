"""Waiting while a store is busy: how long is the caller's to say, because it is the client that waits (record 0041).

Only `StoreBusy` is waited out. Any other `StoreUnavailable` may stand for an operation that has happened; that one is
for the client to repeat, who learns from the answer whether it has (a refresh inside its window).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from typing import Any, Final, Protocol, TypeVar

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.errors import StoreBusy, StoreOverloaded

T = TypeVar("T")

PAUSE_SECONDS: Final = 0.05
"""Between two attempts. A store that waits for a lock does so within each; this is for what it refuses at once."""


class Patience(Protocol):
    """For how long a caller waits."""

    async def lasts(self) -> bool:
        """Pause, and return True to try again; False to give up."""

    def left(self) -> float:
        """Return for how many seconds from now on: 0 or less where it is over, infinity where nobody waits any more."""


PATIENCE: Final[ContextVar[Patience | None]] = ContextVar("patience", default=None)
"""Of the request that is being answered; None has each operation wait for as long as its database does by itself."""


def seconds_left() -> float | None:
    """Return for how many seconds the request that is being answered still waits; None where nobody says.

    An attempt at something that may hang need not last longer.
    """
    patience = PATIENCE.get()
    return None if patience is None else patience.left()


async def goes_on_waiting() -> bool:
    """Pause and return True where the request that is being answered still waits."""
    patience = PATIENCE.get()
    return patience is not None and await patience.lasts()


@dataclass(frozen=True, slots=True)
class Until:
    """Waits until a time of a clock that never goes back."""

    end: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def lasts(self) -> bool:
        """See `Patience`."""
        if self.left() <= 0:
            return False
        await self.sleep(PAUSE_SECONDS)
        return True

    def left(self) -> float:
        """See `Patience`."""
        return self.end - self.clock()


async def wait_out(attempt: Callable[[], Coroutine[Any, Any, T]], *, busy_timeout: float) -> T:
    """Return what `attempt` returns once the store is not busy any more.

    Args:
        attempt: raises `StoreBusy` where nothing has happened, and may then be called again.
        busy_timeout: for how many seconds it is repeated where the caller has not said for how long.

    Raises:
        StoreBusy: the patience is over; nothing has happened.
        Exception: whatever else `attempt` raises, at once.
    """
    patience = PATIENCE.get()
    while True:
        try:
            return await attempt()
        except StoreBusy as busy:
            if patience is None and isinstance(busy, StoreOverloaded):
                raise
            patience = patience or Until(time.monotonic() + busy_timeout)
            if not await patience.lasts():
                raise
