"""Change sync: carries changes between the buses of the processes over one store.

The store has a change log (`ChangeStore`). At each poll a process appends what was published on its bus since the last
one, each change once, and delivers on its bus what others have appended meanwhile. So a change costs nothing where it
is published, a busy server one write per poll, and a quiet one a read. `pace` says when the next poll is.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import field
from typing import Any, Final, get_args

from gatepost.late_dataclass import dataclass
from gatepost.resource.scope_needs import all_of, any_of, groups_of
from gatepost.server.changes.bus import Change, ChangeBus, ChangeKind, LocalChanges
from gatepost.stores.contract.changes import ChangeStore
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.tokens.opaque import RandomBytes

MOST_WAITING: Final = 1_000
"""How many different changes wait to be appended; the oldest are dropped."""
_AT_ONCE: Final = 100  # changes per query

_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class ChangeSync:
    """Syncs one bus with the change log."""

    bus: LocalChanges
    log: ChangeStore
    topic: str
    """Which bus it is, in every process."""
    origin: str
    """A name that only this process has."""
    now: Callable[[], int]
    _last_seen: int | None = field(default=None, init=False)
    _waiting: dict[str, None] = field(default_factory=dict, init=False)
    """What was published here, in order."""
    _lock: Any = field(default_factory=threading.Lock, init=False)

    def start(self) -> Callable[[], None]:
        """Take what is published on the bus from now on, until what this returns is called."""
        return self.bus.listen(self._on_change, is_for_own=True)

    async def poll(self) -> None:
        """Append what was published here, and deliver what was published elsewhere.

        Raises StoreUnavailable: it cannot be done now; nothing is lost.
        """
        await poll_all([self])

    @property
    def is_begun(self) -> bool:
        """Whether it is known how far the log went when this process began."""
        return self._last_seen is not None

    def begin(self, last: int) -> None:
        """Pass over what was appended before this process began: it is no news to its clients."""
        if self._last_seen is None:
            self._last_seen = last

    async def deliver_until(self, last: int) -> None:
        """Deliver what others have appended, to the one of this number and beyond; raises StoreUnavailable."""
        while self._last_seen is not None and self._last_seen < last:
            appended = await self.log.changes_after(self.topic, self._last_seen, limit=_AT_ONCE)
            if not appended:
                return  # somebody has put an older log in its place
            for one in appended:
                self._last_seen = one.number
                change = None if one.origin == self.origin else _read(one.change)
                if change is not None:
                    self.bus.deliver(change)

    async def append(self) -> None:
        """Append what was published here, if anything was; raises StoreUnavailable, and then it is still to be done."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        try:
            await self.log.append_changes(self.topic, tuple(waiting), origin=self.origin, now=self.now())
        except StoreUnavailable:
            with self._lock:
                self._waiting = waiting | self._waiting
                self._drop_oldest()
            raise

    def _on_change(self, change: Change) -> None:
        """Take a change from the bus; in whatever thread it was published."""
        # A scope that is needed as it is stands as a text, of several the one as a list.
        needed = [group[0] if len(group) == 1 else group for group in groups_of(change.scopes)]
        # With the process, since the log keeps equal changes as one: of two processes that publish the same, the one
        # that appends last would put its own in the place of the other's, which it has not delivered yet.
        written = json.dumps([change.kind, needed, change.uri, self.origin])
        with self._lock:
            self._waiting[written] = None
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        while len(self._waiting) > MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]


async def poll_all(syncs: Sequence[ChangeSync]) -> None:
    """Poll for several buses over one log: one read, however many, where nothing has changed.

    Raises StoreUnavailable: it cannot be done now; nothing is lost.
    """
    log, topics = syncs[0].log, [sync.topic for sync in syncs]
    if not all(sync.is_begun for sync in syncs):
        last = await log.last_changes(topics)
        for sync in syncs:
            sync.begin(last[sync.topic])
    for sync in syncs:
        await sync.append()
    last = await log.last_changes(topics)
    for sync in syncs:
        await sync.deliver_until(last[sync.topic])


def syncs_of(
    buses: Mapping[str, ChangeBus | None], log: ChangeStore, *, now: Callable[[], int], random_bytes: RandomBytes
) -> list[ChangeSync]:
    """Return a sync for each bus that serves this process alone; another kind needs none.

    Args:
        buses: by the paths of their endpoints; one that several endpoints share goes by the first.
        log: shared by the processes.
        now: the time, whole seconds UTC.
        random_bytes: names this process.
    """
    origin = random_bytes(16).hex()
    topics: dict[LocalChanges, str] = {}
    for path, bus in buses.items():
        if isinstance(bus, LocalChanges):
            topics.setdefault(bus, path)
    return [ChangeSync(bus=bus, log=log, topic=topic, origin=origin, now=now) for bus, topic in topics.items()]


@asynccontextmanager
async def syncing(
    syncs: Sequence[ChangeSync],
    next_poll: Callable[[], Awaitable[None]],
    on_change: Callable[[Change], None] | None = None,
) -> AsyncIterator[None]:
    """Sync in the background for as long as the context lasts.

    Args:
        syncs: of the buses of this process.
        next_poll: returns when it is time for a poll.
        on_change: called when something was published here, in whatever thread.
    """
    stops = [sync.start() for sync in syncs]
    if on_change is not None:
        stops += [sync.bus.listen(on_change, is_for_own=True) for sync in syncs]
    task = asyncio.create_task(_poll(syncs, next_poll), name="gatepost-changes")
    try:
        yield
    finally:
        for stop in stops:
            stop()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _poll(syncs: Sequence[ChangeSync], next_poll: Callable[[], Awaitable[None]]) -> None:
    is_failing = False
    while syncs:
        try:
            await poll_all(syncs)
        except StoreUnavailable as error:
            if not is_failing:
                _log.warning("changes cannot be synced with other processes: %s", error)
            is_failing = True
        else:
            is_failing = False
        await next_poll()


def _read(written: str) -> Change | None:
    """Return a change; None for one of a kind that only a newer version knows."""
    kind, needed, uri, *_ = json.loads(written)
    if kind not in get_args(ChangeKind):
        return None
    return Change(kind, all_of(*(each if isinstance(each, str) else any_of(*each) for each in needed)), uri)
