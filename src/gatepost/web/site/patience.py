"""How long a request waits while the store is busy: as long as its client does (record 0041)."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from contextvars import Token
from dataclasses import field
from typing import Final, Self

from anyio import CancelScope
from starlette.types import Message, Receive

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.busy import PATIENCE, PAUSE_SECONDS, Patience
from gatepost.web.site.request_body import ClientDisconnected

CODE_SECONDS: Final = 9.0
"""claude.ai gives up on a code and on a registration after 10 s, and no known client sooner."""
REFRESH_SECONDS: Final = 28.0
"""claude.ai gives up on a refresh after 30 s, and no known client sooner."""

_MOST_WAITING: Final = 1000


@dataclass(slots=True)
class Waiting:
    """All requests of this process that wait for the store."""

    clock: Callable[[], float] = time.monotonic
    """Seconds that never go back."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    most: int = _MOST_WAITING
    """One more is not waited for: what waits holds memory, and a connection."""
    count: int = 0
    is_stopped: bool = False
    """Set when the server is about to stop: nobody waits any more."""


@dataclass(slots=True)
class RequestPatience:
    """The `Patience` of one request, for as long as it is its context.

    Args:
        waiting: those of all requests, which it is counted among once it waits.
        receive: the ASGI channel of the request; what the request reads is to come from `self.receive` from now on.
        seconds: from now on, for all that the request asks of the store.
    """

    waiting: Waiting
    _receive: Receive
    seconds: float
    _began: float = field(init=False)
    _is_open: bool = field(default=False, init=False)
    """Whether the request is being answered."""
    _is_counted: bool = field(default=False, init=False)
    _held: Message | None = field(default=None, init=False)
    """What came while it was looked whether the client is still there."""
    _token: Token[Patience | None] | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        self._began, self._is_open = self.waiting.clock(), True
        self._token = PATIENCE.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            PATIENCE.reset(self._token)
        self.waiting.count -= self._is_counted
        self._is_counted = False
        self.seconds, self._is_open = 0, False  # for tasks that outlive the request

    async def receive(self) -> Message:
        """Return the next message of the request."""
        held, self._held = self._held, None
        return await self._receive() if held is None else held

    async def lasts(self) -> bool:
        """See `Patience`.

        Raises:
            ClientDisconnected: nobody waits for the answer.
        """
        waiting = self.waiting
        if waiting.is_stopped or waiting.clock() - self._began >= self.seconds:
            return False
        if not self._is_counted:
            if waiting.count >= waiting.most:
                return False
            waiting.count += 1
            self._is_counted = True
        await waiting.sleep(PAUSE_SECONDS)
        if self._held is None:
            with CancelScope() as scope:
                scope.cancel()
                self._held = await self._receive()
        if self._held is not None and self._held["type"] == "http.disconnect":
            raise ClientDisconnected
        return True

    def left(self) -> float:
        """See `Patience`."""
        return self._began + self.seconds - self.waiting.clock() if self._is_open else math.inf


def lasts_at_most(seconds: float) -> None:
    """Have the request that is being answered wait no longer than this, from its beginning."""
    patience = PATIENCE.get()
    if isinstance(patience, RequestPatience):
        patience.seconds = min(patience.seconds, seconds)
