"""Carrying what changes at run time to the other processes of a store, and what changes there to the bus here.

The store has a board (`ChangeStore`). Once per look a process notes there what was published on its bus since the look
before, each change once, and tells its bus what others have noted meanwhile. So a change costs nothing where it is
published, a busy server one write per look, and a quiet one a read.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, get_args

from gatepost.server.changes.bus import Change, ChangeBus, ChangeKind, LocalChanges
from gatepost.stores.contract.changes import ChangeStore
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.tokens.opaque import RandomBytes

MOST_WAITING: Final = 1_000
"""How many different changes wait to be noted; the oldest are given up."""
_AT_ONCE: Final = 100  # changes per look into the store

_log = logging.getLogger(__name__)


class ChangeRelay:
    """Carries the changes of one bus.

    Args:
        bus: the bus of this process.
        board: where processes note changes.
        topic: which bus it is, in every process.
        origin: a name that only this process has.
        now: the time, whole seconds UTC.
    """

    def __init__(
        self, bus: LocalChanges, board: ChangeStore, *, topic: str, origin: str, now: Callable[[], int]
    ) -> None:
        self._bus = bus
        self._board = board
        self._topic = topic
        self._origin = origin
        self._now = now
        self._seen: int | None = None
        self._waiting: dict[str, None] = {}  # in order
        self._noting = threading.Lock()

    def connect(self) -> Callable[[], None]:
        """Take what is published on the bus from now on; the result of it ends that."""
        return self._bus.connect(self._take)

    async def look(self) -> None:
        """Note what was published here, and tell the bus what was published elsewhere.

        Raises:
            StoreUnavailable: it cannot be done now; nothing is lost.
        """
        if self._seen is None:
            # What was noted before this process began is no news to its clients.
            self._seen = await self._board.last_change(self._topic)
        await self._note()
        noted = await self._board.changes_after(self._topic, self._seen, limit=_AT_ONCE)
        while noted:
            for one in noted:
                self._seen = one.number
                change = None if one.origin == self._origin else _read(one.change)
                if change is not None:
                    self._bus.deliver(change)
            noted = await self._board.changes_after(self._topic, self._seen, limit=_AT_ONCE)

    async def _note(self) -> None:
        with self._noting:
            waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        try:
            await self._board.append_changes(self._topic, tuple(waiting), origin=self._origin, now=self._now())
        except StoreUnavailable:
            with self._noting:
                self._waiting = waiting | self._waiting
                self._forget_oldest()
            raise

    def _take(self, change: Change) -> None:
        """Take a change from the bus; in whatever thread it was published."""
        written = _written(change)
        with self._noting:
            self._waiting[written] = None
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        while len(self._waiting) > MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]


def relays_of(
    buses: Mapping[str, ChangeBus | None], board: ChangeStore, *, now: Callable[[], int], random_bytes: RandomBytes
) -> list[ChangeRelay]:
    """Return a relay for each bus that serves this process alone; another kind needs none.

    Args:
        buses: by the paths of their endpoints; one that several endpoints share goes by the first.
        board: where processes note changes.
        now: the time, whole seconds UTC.
        random_bytes: names this process.
    """
    origin = random_bytes(16).hex()
    topics: dict[LocalChanges, str] = {}
    for path, bus in buses.items():
        if isinstance(bus, LocalChanges):
            topics.setdefault(bus, path)
    return [ChangeRelay(bus, board, topic=topic, origin=origin, now=now) for bus, topic in topics.items()]


@asynccontextmanager
async def relaying(relays: Sequence[ChangeRelay], next_look: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Relay in the background for as long as the context lasts; `next_look` returns when it is time for a look."""
    stops = [relay.connect() for relay in relays]
    task = asyncio.create_task(_relay(relays, next_look), name="gatepost-changes")
    try:
        yield
    finally:
        for stop in stops:
            stop()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _relay(relays: Sequence[ChangeRelay], next_look: Callable[[], Awaitable[None]]) -> None:
    is_failing = False
    while relays:
        try:
            for relay in relays:
                await relay.look()
        except StoreUnavailable as error:
            if not is_failing:
                _log.warning("changes cannot be told to other processes: %s", error)
            is_failing = True
        else:
            is_failing = False
        await next_look()


def _written(change: Change) -> str:
    return json.dumps([change.kind, sorted(change.scopes), change.uri])


def _read(written: str) -> Change | None:
    """Return a change; None for one of a kind that only a newer version knows."""
    kind, scopes, uri, *_ = json.loads(written)
    return Change(kind, frozenset(scopes), uri) if kind in get_args(ChangeKind) else None
