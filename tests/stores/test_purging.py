"""The purge in the background: rounds, batches, the lease, faults."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from gatepost.oauth.consent import Consent
from gatepost.oauth.limits import Rate, Use
from gatepost.stores.conformance.behaviour.api_keys import api_key
from gatepost.stores.conformance.records import (
    NOW,
    audit_record,
    client,
    find_grant,
    find_refresh_token,
    fp,
    redeem,
    remember_consent,
    session,
    transaction,
)
from gatepost.stores.contract.account_links import AccountLink
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.mcp import McpSession
from gatepost.stores.contract.store import Store
from gatepost.stores.purging import BATCH, DeleteBatch, Purge, Purger, background_purger, purges_of, purging
from gatepost.stores.sql.sqlite import memory_store


@dataclass
class Rows:
    """So many rows that are over, and the batches that were asked for."""

    left: int
    asked: list[tuple[int, int]] = field(default_factory=list)
    fault: StoreUnavailable | None = None

    async def delete(self, *, before: int, limit: int) -> int:
        self.asked.append((before, limit))
        if self.fault is not None:
            raise self.fault
        taken = min(self.left, limit)
        self.left -= taken
        return taken


class Clock:
    """Stands still until a pause moves it."""

    def __init__(self, *, seconds_per_pause: int = 0) -> None:
        self.now = NOW
        self.pauses = 0
        self._seconds = seconds_per_pause

    def __call__(self) -> int:
        return self.now

    async def pause(self) -> None:
        self.pauses += 1
        self.now += self._seconds


class Rounds:
    """Lets a round begin, and knows when the next one is waited for."""

    def __init__(self) -> None:
        self._go = asyncio.Semaphore(0)
        self.waiting = asyncio.Semaphore(0)

    async def __call__(self) -> None:
        self.waiting.release()
        await self._go.acquire()

    async def run_one(self) -> None:
        await self.waiting.acquire()
        self._go.release()


def purger(
    store: Store,
    *purges: Purge,
    clock: Clock,
    next_round: Callable[[], Awaitable[None]] | None = None,
    holder: str = "this process",
) -> Purger:
    return Purger(
        purges,
        leases=store.leases,
        holder=holder,
        now=clock,
        next_round=next_round or Rounds(),
        pause=clock.pause,
    )


def of(what: str, delete: DeleteBatch, *, kept_for: int = 0) -> Purge:
    return Purge(what, delete, kept_for)


async def test_it_deletes_all_that_is_over_in_batches_with_a_pause_after_each_full_one() -> None:
    many, few, clock = Rows(2 * BATCH + 1), Rows(3), Clock()

    deleted = await purger(
        memory_store(), of("many", many.delete), of("few", few.delete, kept_for=60), clock=clock
    ).purge_once()

    assert deleted == {"many": 2 * BATCH + 1, "few": 3}
    assert many.asked == [(NOW, BATCH)] * 3
    assert few.asked == [(NOW - 60, BATCH)]
    assert clock.pauses == 2


async def test_only_the_process_that_holds_the_lease_purges() -> None:
    store, rows = memory_store(), Rows(3)
    await store.leases.take_lease("purge", holder="another process", now=NOW, until=NOW + 60)

    assert await purger(store, of("rows", rows.delete), clock=Clock()).purge_once() is None
    assert rows.asked == []


async def test_the_lease_is_returned_after_a_round() -> None:
    store, clock = memory_store(), Clock()

    await purger(store, of("rows", Rows(3).delete), clock=clock, holder="one").purge_once()

    assert await purger(store, of("rows", Rows(3).delete), clock=clock, holder="two").purge_once() == {"rows": 3}


async def test_a_long_round_renews_the_lease() -> None:
    store, clock = memory_store(), Clock(seconds_per_pause=61)
    rows = Rows(4 * BATCH)

    assert await purger(store, of("rows", rows.delete), clock=clock).purge_once() == {"rows": 4 * BATCH}
    assert clock.now > NOW + 120


async def test_a_round_ends_when_the_lease_was_lost() -> None:
    """As after a machine that slept: another process has taken over."""
    store, rows = memory_store(), Rows(4 * BATCH)
    clock = Clock(seconds_per_pause=121)

    async def lose_lease() -> None:
        await clock.pause()
        assert await store.leases.take_lease("purge", holder="other", now=clock(), until=clock() + 120)

    sleeper = Purger(
        [of("rows", rows.delete), of("more", rows.delete)],
        leases=store.leases,
        holder="this process",
        now=clock,
        next_round=Rounds(),
        pause=lose_lease,
    )

    assert await sleeper.purge_once() == {"rows": BATCH, "more": 0}


async def test_a_store_that_cannot_answer_is_asked_again_in_the_next_round(caplog: pytest.LogCaptureFixture) -> None:
    rows, rounds = Rows(3, fault=StoreUnavailable("the disk is full")), Rounds()

    async with purging(purger(memory_store(), of("rows", rows.delete), clock=Clock(), next_round=rounds)):
        await rounds.run_one()
        await rounds.run_one()
        assert rows.left == 3
        rows.fault = None
        await rounds.waiting.acquire()
        rounds._go.release()
        await rounds.waiting.acquire()

    assert rows.left == 0
    assert "the purge could not go on: the disk is full" in caplog.text


async def test_after_a_clock_was_set_forward_nothing_is_purged_for_a_day(caplog: pytest.LogCaptureFixture) -> None:
    """It may be wrong, and what it says is over would be gone before it is put right."""
    rows, rounds, clock, steady = Rows(3), Rounds(), Clock(), [0.0]
    made = purger(memory_store(), of("rows", rows.delete), clock=clock, next_round=rounds)
    made.monotonic = lambda: steady[0]

    def pass_time(seconds: int) -> None:
        clock.now += seconds
        steady[0] += seconds

    async with purging(made):
        await rounds.waiting.acquire()
        clock.now += 40 * 86_400
        rounds._go.release()
        await rounds.run_one()
        pass_time(86_399)
        await rounds.run_one()
        assert rows.asked == []
        pass_time(1)
        await rounds.run_one()
        await rounds.waiting.acquire()
        assert rows.left == 0
    assert caplog.text.count("the clock was set forward") == 1


@pytest.mark.parametrize("step", [-86_400, 299])
async def test_a_clock_that_was_set_back_or_corrected_keeps_nothing_from_being_purged(step: int) -> None:
    rows, rounds, clock = Rows(3), Rounds(), Clock()
    made = purger(memory_store(), of("rows", rows.delete), clock=clock, next_round=rounds)
    made.monotonic = lambda: 0.0
    async with purging(made):
        await rounds.waiting.acquire()
        clock.now += step
        rounds._go.release()
        await rounds.waiting.acquire()
        assert rows.left == 0


async def test_it_ends_with_the_server() -> None:
    rounds = Rounds()
    before = asyncio.all_tasks()

    async with purging(purger(memory_store(), clock=Clock(), next_round=rounds)):
        await rounds.waiting.acquire()

    assert asyncio.all_tasks() == before


async def test_everything_that_ends_is_purged_from_a_store(store: Store) -> None:
    await redeem(store)
    await store.transactions.begin_transaction(transaction("transaction-2"))
    await store.clients.register_client(client())
    await store.assertions.remember_jti("client-1", "a", expires_at=NOW + 60, now=NOW)
    await store.browser_sessions.start_session(session())
    await store.account_links.offer_link(AccountLink(b"l" * 32, None, None, NOW, NOW + 60))
    await store.mcp_sessions.start_session(
        McpSession(b"m" * 32, "owner", "2025-11-25", b"{}", NOW, NOW + 60), most=9, makes_room=True
    )
    await store.limits.take([Use("key", Rate(1, 60))], now=NOW)
    await store.changes.append_changes("/mcp", ["old", "last"], origin="me", now=NOW)
    await store.audit.append_events([audit_record()])
    await remember_consent(store, Consent("user-1", "client-1", "https://a", "https://b", (), NOW, NOW + 1))
    await store.api_keys.add_key(api_key(expires_at=NOW + 1))
    clock = Clock()
    clock.now = NOW + 400 * 24 * 3600

    deleted = await purger(store, *purges_of(store, audit_days=90), clock=clock).purge_once() or {}

    assert {what: count for what, count in deleted.items() if count} == {
        "authorization requests": 3,
        "unused clients": 1,
        "used assertions and proofs": 1,
        "access tokens": 1,
        "refresh tokens": 1,
        "grants": 1,
        "MCP sessions": 1,
        "noted changes": 1,
        "browser sessions": 1,
        "account links": 1,
        "API keys": 1,
        "consents": 1,
        "limits": 1,
        "audit events": 1,
    }
    assert await find_grant(store, "grant-1") is None


async def test_what_still_says_something_is_kept_for_a_while(store: Store) -> None:
    """A late client hears that its token expired, and an operator sees what was revoked."""
    await redeem(store)
    clock = Clock()
    clock.now = NOW + 100_000 + 24 * 3600

    await purger(store, *purges_of(store, audit_days=90), clock=clock).purge_once()

    assert await find_refresh_token(store, fp("refresh 1")) is not None
    assert await find_grant(store, "grant-1") is not None


async def test_what_counts_once_is_remembered_for_processes_whose_clock_is_behind(store: Store) -> None:
    assert await store.assertions.remember_jti("client-1", "a", expires_at=NOW + 60, now=NOW)
    clock = Clock()
    clock.now = NOW + 60 + 299

    await purger(store, *purges_of(store, audit_days=90), clock=clock).purge_once()

    assert not await store.assertions.remember_jti("client-1", "a", expires_at=NOW + 60, now=NOW + 59)


async def test_the_rounds_of_a_running_server_wait_for_their_time() -> None:
    """The first round is not at the start, which has enough to do."""
    store = memory_store()
    await store.browser_sessions.start_session(session())
    real = background_purger(store, audit_days=90, now=lambda: NOW + 100_000, random_bytes=bytes)

    async with purging(real):
        await asyncio.wait([asyncio.create_task(asyncio.sleep(0))])
        assert await store.browser_sessions.find_session(fp("session-1"), now=NOW) is not None

    assert (await real.purge_once() or {})["browser sessions"] == 1
