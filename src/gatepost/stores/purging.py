"""The purge: what is over is deleted in the background, in small batches, by one process at a time.

`purges_of` is the list of what there is to purge. A concern whose records end adds its line there.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import KW_ONLY, field
from functools import partial
from typing import Final, Protocol

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.leases import LeaseStore
from gatepost.stores.contract.store import Store
from gatepost.tokens.opaque import RandomBytes

BATCH: Final = 100
"""Rows per batch. In SQLite that is about 10 ms in which another write waits; reads wait for none of it."""

_LEASE: Final = "purge"
_LEASE_SECONDS: Final = 120
"""After which another process takes over from one that died. Renewed during a round as soon as half of it is over."""

_ROUND_SECONDS: Final = 50
_ROUND_SPREAD: Final = 20
_PAUSE_SECONDS: Final = 0.05
"""Four fifths of the time belong to others, and more than a thousand rows a second still go."""

_DAY: Final = 24 * 3600
_CHANGE_SECONDS: Final = 600
_STEP_SECONDS: Final = 300
"""More than clocks are corrected by that are right."""

_log = logging.getLogger(__name__)


class DeleteBatch(Protocol):
    """Deletes what was over at `before`, at most `limit` rows, and returns how many."""

    def __call__(self, *, before: int, limit: int) -> Awaitable[int]:
        """Delete one batch."""


@dataclass(frozen=True, slots=True)
class Purge:
    """One kind of record that ends."""

    what: str
    """For people: `access tokens`."""
    delete: DeleteBatch
    kept_for: int = 0
    """Seconds for which a record is kept after its end."""


def purges_of(store: Store, *, audit_days: int) -> tuple[Purge, ...]:
    """Return everything that is purged from a store, in this order.

    Args:
        store: what is purged.
        audit_days: for how many days the audit trail goes back.
    """
    return (
        Purge("authorization requests", store.transactions.delete_transactions),
        # Kept a while, so that a device that comes back late is told that its code expired, not that it is unknown.
        Purge("logins by device", store.device_authorizations.delete_device_authorizations, kept_for=3600),
        Purge("pushed authorization requests", store.pushed_requests.delete_pushed_requests),
        # Kept a while, so that a process whose clock is behind that of the one which purges takes none once more.
        Purge("used assertions and proofs", store.assertions.forget_jtis, kept_for=_STEP_SECONDS),
        Purge("access tokens", store.grants.delete_access_tokens),
        Purge("exchanged tokens", store.exchanges.delete_exchanged_tokens),
        # Kept a while, so that a client that comes back late is told that its token expired, not that it is unknown.
        Purge("refresh tokens", store.grants.delete_refresh_tokens, kept_for=7 * _DAY),
        # Kept a while, so that an operator can see what was revoked, when and why, and as long as a refresh token could
        # have lived: until then its client is no unused one.
        Purge("grants", store.grants.delete_grants, kept_for=30 * _DAY),
        # Clients register at every connect, so those that nobody allowed in a day go; grants first, which keep theirs.
        Purge("unused clients", store.clients.delete_orphans, kept_for=_DAY),
        Purge("MCP sessions", store.mcp_sessions.delete_sessions),
        Purge("tasks", store.tasks.delete_tasks),
        Purge("runners of tasks", store.tasks.delete_runners, kept_for=_DAY),
        # Kept a while, so that every process hears of it; one that could not for so long has missed it.
        Purge("noted changes", store.changes.delete_changes, kept_for=_CHANGE_SECONDS),
        Purge("browser sessions", store.browser_sessions.delete_sessions),
        Purge("account links", store.account_links.delete_links),
        Purge("logins under way", store.logins.delete_logins),
        Purge("tokens of login providers", store.upstream_tokens.delete_tokens),
        # Kept a while, so that an operator can see what ended, and whoever still sends it is told why.
        Purge("API keys", store.api_keys.delete_keys, kept_for=30 * _DAY),
        Purge("consents", store.consents.delete_consents),
        Purge("limits", store.limits.delete_limits),
        Purge("audit events", store.audit.delete_events, kept_for=audit_days * _DAY),
    )


async def purge_everything(
    purges: Sequence[Purge],
    *,
    now: Callable[[], int],
    may_go_on: Callable[[], Awaitable[bool]],
) -> dict[str, int]:
    """Delete all that is over and return how many rows went, by `Purge.what`.

    Args:
        purges: what to purge.
        now: the clock, whole seconds UTC.
        may_go_on: awaited between batches; False ends the round.

    Raises:
        StoreUnavailable: the store cannot answer; what was deleted before stays deleted.
    """
    deleted = dict.fromkeys((purge.what for purge in purges), 0)
    for purge in purges:
        last = BATCH
        while last >= BATCH:
            last = await purge.delete(before=now() - purge.kept_for, limit=BATCH)
            deleted[purge.what] += last
            if last >= BATCH and not await may_go_on():
                return deleted
    return deleted


@dataclass
class Purger:
    """Purges round after round, as long as this process holds the lease."""

    purges: Sequence[Purge]
    _: KW_ONLY
    leases: LeaseStore
    """Where the processes agree on who does it."""
    holder: str
    """A name that only this process has."""
    now: Callable[[], int]
    next_round: Callable[[], Awaitable[None]]
    """Returns when it is time for a round."""
    pause: Callable[[], Awaitable[None]]
    """Waits between two batches, so that others get at the store."""
    monotonic: Callable[[], float] = time.monotonic
    """Seconds that never go back, beside which a step of the clock shows."""
    on_purged: Callable[[Mapping[str, int]], None] | None = None
    """Is told after each round how many rows went, by `Purge.what`."""
    _held_until: int = field(default=0, init=False)
    _seen: tuple[int, float] | None = field(default=None, init=False)
    """Both times, at the end of the last wait."""
    _rests_until: float = field(default=-math.inf, init=False)

    async def run(self) -> None:
        """Purge until cancelled. A store that cannot answer is asked again in the next round."""
        self._look_at_clock()
        while True:
            await self.next_round()
            self._look_at_clock()
            if self.monotonic() < self._rests_until:
                continue
            try:
                await self.purge_once()
            except StoreUnavailable as error:
                _log.warning("the purge could not go on: %s", error)

    def _look_at_clock(self) -> None:
        """Rest for a day after the clock was set forward: what it says is over now may not be, and would be gone."""
        now, steady = self.now(), self.monotonic()
        if self._seen is not None and now - self._seen[0] - (steady - self._seen[1]) > _STEP_SECONDS:
            self._rests_until = steady + _DAY
            _log.warning("the clock was set forward: nothing is purged for a day, in case it is wrong")
        self._seen = now, steady

    async def purge_once(self) -> dict[str, int] | None:
        """Do one round and return how many rows went; None when another process is at it.

        Raises:
            StoreUnavailable: the store cannot answer.
        """
        if not await self._hold_lease():
            return None
        deleted = await purge_everything(self.purges, now=self.now, may_go_on=self._may_go_on)
        await self.leases.return_lease(_LEASE, holder=self.holder)
        if self.on_purged is not None:
            self.on_purged(deleted)
        if any(deleted.values()):
            _log.debug("purged", extra={what.replace(" ", "_"): count for what, count in deleted.items() if count})
        return deleted

    async def _may_go_on(self) -> bool:
        await self.pause()
        return self._held_until - self.now() > _LEASE_SECONDS // 2 or await self._hold_lease()

    async def _hold_lease(self) -> bool:
        now = self.now()
        self._held_until = now + _LEASE_SECONDS
        return await self.leases.take_lease(_LEASE, holder=self.holder, now=now, until=self._held_until)


@asynccontextmanager
async def purging(purger: Purger) -> AsyncIterator[None]:
    """Purge in the background for as long as the context lasts."""
    task = asyncio.create_task(purger.run(), name="gatepost-purge")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def background_purger(
    store: Store,
    *,
    audit_days: int,
    now: Callable[[], int],
    random_bytes: RandomBytes,
    on_purged: Callable[[Mapping[str, int]], None] | None = None,
) -> Purger:
    """Return the purger of a running server: a round about once a minute.

    Args:
        store: what is purged.
        audit_days: for how many days the audit trail goes back.
        now: the clock, whole seconds UTC.
        random_bytes: names this process, and sets when in the minute its rounds begin, so that the processes of one
            server do not all ask for the lease at once.
        on_purged: is told after each round how many rows went, by `Purge.what`.
    """
    name = random_bytes(8)
    seconds = _ROUND_SECONDS + name[0] % _ROUND_SPREAD
    return Purger(
        purges_of(store, audit_days=audit_days),
        leases=store.leases,
        holder=name.hex(),
        now=now,
        next_round=partial(asyncio.sleep, seconds),
        pause=partial(asyncio.sleep, _PAUSE_SECONDS),
        on_purged=on_purged,
    )
