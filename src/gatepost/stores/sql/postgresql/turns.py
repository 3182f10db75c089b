"""Turns: how many operations of one kind are at work at once, where they stand in each other's way.

Two serializable transactions that read what the other changes cannot both commit. Operations that all do (the next
number of a table, a counter) waste most of their work when ten of them run at once, and the same one may lose again and
again. So where an operation had to be repeated, half as many of its kind are let in from then on, down to one, and
slowly more again as they succeed: what TCP does about a full line (RFC 5681 section 3.1). Other processes do the same.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import field
from typing import Final

from gatepost.late_dataclass import dataclass

_GROWTH: Final = 0.05
"""By how much more each success lets in: twenty for one more, so that to try that costs little."""


class NoTurn(Exception):
    """It was not an operation's turn for as long as it could wait."""


@dataclass(slots=True)
class _Kind:
    """The operations of one kind."""

    allowed: float
    at_work: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque[asyncio.Future[None]])


class Turns:
    """Who may work.

    Args:
        most: how many of a kind may be at work before any has stood in another's way; then nobody waits.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kinds: dict[str, _Kind] = {}

    @asynccontextmanager
    async def turn(self, name: str, *, seconds: float) -> AsyncIterator[None]:
        """Be at work for as long as the context lasts, once it is one's turn.

        Raises:
            NoTurn: it was not one's turn within so many seconds.
        """
        kind = self._kinds.get(name)
        if kind is None:
            kind = self._kinds[name] = _Kind(self._most)
        if self._is_full(kind):
            await self._wait(kind, seconds)
        else:
            kind.at_work += 1
        try:
            yield
        finally:
            kind.at_work -= 1
            self._let_in(kind)

    def met(self, name: str) -> None:
        """Note that an operation has to be repeated, because another one stood in its way."""
        kind = self._kinds[name]
        kind.allowed = max(1.0, kind.allowed / 2)

    def passed(self, name: str) -> None:
        """Note that an operation has succeeded."""
        kind = self._kinds[name]
        if kind.allowed < self._most:
            kind.allowed = min(self._most, kind.allowed + _GROWTH)

    def allowed(self, name: str) -> int:
        """Return how many of a kind may be at work at once."""
        kind = self._kinds.get(name)
        return self._most if kind is None else int(kind.allowed)

    def _is_full(self, kind: _Kind) -> bool:
        return kind.allowed < self._most and kind.at_work >= int(kind.allowed)

    async def _wait(self, kind: _Kind, seconds: float) -> None:
        """Wait in line until one is let in, which counts as being at work already."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        kind.waiting.append(turn)
        try:
            async with asyncio.timeout(seconds):
                await turn
        except TimeoutError:
            if not turn.cancelled():
                return  # let in at the last moment
            self._leave(kind, turn)
            raise NoTurn from None
        except asyncio.CancelledError:
            if turn.cancelled():
                self._leave(kind, turn)
            else:
                kind.at_work -= 1
                self._let_in(kind)
            raise

    def _leave(self, kind: _Kind, turn: asyncio.Future[None]) -> None:
        kind.waiting.remove(turn)
        # Whoever has finished since it gave up could not let in those behind it.
        self._let_in(kind)

    def _let_in(self, kind: _Kind) -> None:
        while kind.waiting and not self._is_full(kind):
            turn = kind.waiting[0]
            if turn.cancelled():
                break  # it leaves the line itself, at once, and lets the others in
            kind.waiting.popleft()
            kind.at_work += 1
            turn.set_result(None)
