"""The keys of an issuer elsewhere: fetched when they are needed, kept for as long as nothing newer can be had.

A key that signed a token a moment ago is not wrong because its issuer cannot be reached now. So keys go on counting
while a fetch fails, however long that takes, and somebody waits for that only once; the next attempts are made while
requests go on with what there is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import field
from typing import Final

from gatepost.late_dataclass import dataclass
from gatepost.outbound.document_cache import Loaded
from gatepost.outbound.fetching import FetchFailed
from gatepost.tokens.client_keys import Key

PAUSE: Final = 10
"""Seconds between a fetch that failed and the next attempt."""
FLOOR: Final = 10
"""Seconds between two fetches that unknown keys cause, which anybody can name as many of as they like."""

_log = logging.getLogger("gatepost.outbound")


class IssuerUnavailable(Exception):
    """Whether a token counts cannot be known now, because its issuer's keys cannot be had: answer 503, never 401."""


@dataclass(slots=True, kw_only=True)
class IssuerKeys:
    """The keys of one issuer. For one event loop."""

    issuer: str
    """For the log."""
    load: Callable[[], Awaitable[Loaded[Sequence[Key]]]]
    """Fetches them, or raises FetchFailed."""
    now: Callable[[], int]
    _keys: Sequence[Key] = field(default=(), init=False)
    _since: int = field(default=0, init=False)
    _until: int = field(default=0, init=False)
    _failed_at: int | None = field(default=None, init=False)
    _asked_at: int | None = field(default=None, init=False)
    """When an unknown key caused a fetch."""
    _loading: asyncio.Task[None] | None = field(default=None, init=False)

    async def current(self) -> Sequence[Key]:
        """Return the keys as they are known; fetched where none are, or those that there are have been kept too long.

        Raises:
            IssuerUnavailable: none could be had, ever.
        """
        now = self.now()
        # A clock that was set back must not make keys last: hence the lower bound.
        if not self._since <= now < self._until and not self._is_pausing(now):
            has_just_ended = self._failed_at is None
            loading = self._fetch()
            if not self._keys or has_just_ended:
                await asyncio.shield(loading)
        elif not self._keys and self._loading is not None:
            await asyncio.shield(self._loading)
        return self._had()

    async def newer(self) -> Sequence[Key]:
        """Return the keys as they are now, for a token that none of those known fits: the issuer may have new ones.

        Raises:
            IssuerUnavailable: the last attempt to fetch them failed, so the token may well be signed by a new one.
        """
        now = self.now()
        is_due = self._asked_at is None or not 0 <= now - self._asked_at < FLOOR
        if self._loading is not None:
            await asyncio.shield(self._loading)
        elif is_due and not self._is_pausing(now):
            self._asked_at = now
            await asyncio.shield(self._fetch())
        if self._failed_at is not None:
            raise IssuerUnavailable(self.issuer)
        return self._had()

    def _is_pausing(self, now: int) -> bool:
        return self._failed_at is not None and 0 <= now - self._failed_at < PAUSE

    def _had(self) -> Sequence[Key]:
        if not self._keys:
            raise IssuerUnavailable(self.issuer)
        return self._keys

    def _fetch(self) -> asyncio.Task[None]:
        """Return the one fetch that is under way, after beginning it. It goes on when one who waits leaves."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._load(), name="gatepost-issuer-keys")
        return self._loading

    async def _load(self) -> None:
        try:
            loaded = await self.load()
        except FetchFailed as failure:
            if self._failed_at is None:
                _log.warning("the keys of %s cannot be had: %s", self.issuer, failure.cause)
            self._failed_at = self.now()
        else:
            if self._failed_at is not None:
                _log.info("the keys of %s can be had again", self.issuer)
            self._keys, self._failed_at = loaded.value, None
            self._since = self.now()
            self._until = self._since + loaded.lifetime
        finally:
            self._loading = None
