"""Keeping what was fetched: one fetch at a time for each URL, bounded in number, forgiving of a moment's failure.

A document is fresh for as long as its fetch said. One that is over is fetched again; if that fails, the old one goes on
for an hour at most, so that a client's users are not logged out because the client's web server is down. A document
that was fetched and is not valid replaces the old one by nothing at once.

Failures are not cached (section 5.2 of the draft forbids it). There is only a pause of a few seconds before the next
attempt, so that nobody can have this server knock on a door as fast as they like.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import field
from typing import Final, Generic, TypeVar

from gatepost.late_dataclass import dataclass
from gatepost.oauth.errors import OAuthError
from gatepost.oauth.fetched_urls import host_of
from gatepost.outbound.fetching import FetchFailed

T = TypeVar("T")

PAUSE: Final = 5
"""Seconds between a failure and the next attempt."""
STALE: Final = 3600
"""Seconds for which a document that is over still counts while it cannot be fetched."""


@dataclass(frozen=True, slots=True)
class Loaded(Generic[T]):
    """What a fetch came to."""

    value: T
    lifetime: int
    """Seconds."""


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    value: T
    since: int
    until: int


@dataclass(frozen=True, slots=True)
class _Failure:
    error: FetchFailed | OAuthError
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentCache(Generic[T]):
    """What documents came to, by URL. For one event loop."""

    now: Callable[[], int]
    entries: int = 1000
    """How many documents are kept at most; the one that was not asked for the longest goes first."""
    fetches: int = 32
    """How many fetches may be under way at once."""
    fetches_of_site: int = 4
    """How many of them at one site, which the last two labels of a host name stand for: so that one that is slow
    on purpose, under whatever host names, keeps no other from being fetched."""
    _kept: OrderedDict[str, _Kept[T]] = field(default_factory=OrderedDict, init=False)
    _failures: OrderedDict[str, _Failure] = field(default_factory=OrderedDict, init=False)
    _loading: dict[str, asyncio.Task[T]] = field(default_factory=dict, init=False)

    async def get(self, url: str, load: Callable[[], Awaitable[Loaded[T]]], *, newer_than: int | None = None) -> T:
        """Return what the document at `url` came to, which `load` fetches and judges.

        One that was fetched at `newer_than` (seconds UTC) or before is fetched again.

        Raises:
            FetchFailed: it could not be fetched, or too many fetches are under way.
            OAuthError: what `load` raised about a document that is not valid.
        """
        # 1. Fresh?
        now = self.now()
        kept = self._kept.get(url)
        # A clock that was set back must not make a document last: hence the lower bound.
        if kept is not None and kept.since <= now < kept.until and (newer_than is None or kept.since > newer_than):
            self._kept.move_to_end(url)
            return kept.value
        # 2. Has it just failed?
        failure = self._failures.get(url)
        if failure is not None and failure.since <= now < failure.since + PAUSE:
            return self._in_spite_of(failure.error, url, now=now)
        # 3. One fetch for all who ask. It goes on when one of them leaves.
        task = self._loading.get(url)
        if task is None:
            if not self._has_room(url):
                return self._in_spite_of(FetchFailed("busy"), url, now=now)
            task = self._loading[url] = asyncio.create_task(self._load(url, load))
            task.add_done_callback(lambda done: self._finished(url, done))
        return await asyncio.shield(task)

    async def _load(self, url: str, load: Callable[[], Awaitable[Loaded[T]]]) -> T:
        try:
            loaded = await load()
        except FetchFailed as error:
            _keep(self._failures, url, _Failure(error, self.now()), at_most=self.entries)
            return self._in_spite_of(error, url, now=self.now())
        except OAuthError as error:
            self._kept.pop(url, None)
            _keep(self._failures, url, _Failure(error, self.now()), at_most=self.entries)
            raise
        now = self.now()
        self._failures.pop(url, None)
        _keep(self._kept, url, _Kept(loaded.value, now, now + loaded.lifetime), at_most=self.entries)
        return loaded.value

    def _in_spite_of(self, error: FetchFailed | OAuthError, url: str, *, now: int) -> T:
        """Return the old document where there is one that may still serve; else raise `error`."""
        kept = self._kept.get(url)
        if kept is not None and kept.since <= now < kept.until + STALE:
            return kept.value
        raise error.with_traceback(None)

    def _has_room(self, url: str) -> bool:
        of_site = sum(_site_of(loading) == _site_of(url) for loading in self._loading)
        return len(self._loading) < self.fetches and of_site < self.fetches_of_site

    def _finished(self, url: str, task: asyncio.Task[T]) -> None:
        del self._loading[url]
        if not task.cancelled():
            task.exception()  # everybody may have left; that nobody looked is then no fault


def _site_of(url: str) -> list[str]:
    return host_of(url).split(".")[-2:]


def _keep(mapping: OrderedDict[str, T], key: str, value: T, *, at_most: int) -> None:
    mapping[key] = value
    mapping.move_to_end(key)
    while len(mapping) > at_most:
        mapping.popitem(last=False)
