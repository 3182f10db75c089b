"""What is kept at once, what is kept soon, and what happens to it when the store is down."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gatepost.oauth.audit import ISSUED, AuditEvent, AuditQuery, AuditRecord, Outcome
from gatepost.oauth.reasons import Reason
from gatepost.observability import audit_trail as module
from gatepost.observability.audit_trail import AuditTrail, last_use_of_client
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.sql.sqlite import memory_store
from gatepost.web.oauth import grants

NOW = 1_800_000_000
ADDRESS = "192.0.2.7"


class Shaky:
    """An audit store that can be down."""

    def __init__(self) -> None:
        self.real = memory_store().audit
        self.is_down = False
        self.loses_answers = False

    async def append_events(self, records: Sequence[AuditRecord]) -> None:
        if self.is_down:
            raise StoreUnavailable("the disk is full")
        await self.real.append_events(records)
        if self.loses_answers:
            raise StoreUnavailable("the connection was cut")

    async def list_events(self, query: AuditQuery, *, before: str | None, limit: int) -> list[AuditRecord]:
        return await self.real.list_events(query, before=before, limit=limit)

    async def delete_events(self, *, before: int, limit: int) -> int:
        return await self.real.delete_events(before=before, limit=limit)


@pytest.fixture
def store() -> Shaky:
    return Shaky()


@pytest.fixture
def trail(store: Shaky) -> AuditTrail:
    return trail_of(store)


def trail_of(store: Shaky, *, now: Callable[[], float] = lambda: NOW) -> AuditTrail:
    return AuditTrail(store=store, now=now, random_bytes=bytes)


def note(trail: AuditTrail, event: AuditEvent, outcome: Outcome = Outcome.OK, *, network: str = ADDRESS) -> None:
    trail.note(event, outcome, address=ADDRESS, network=network)


async def kept(store: Shaky) -> list[AuditRecord]:
    return (await store.list_events(AuditQuery(), before=None, limit=100_000))[::-1]


async def test_a_recorded_event_is_kept_before_the_answer(trail: AuditTrail, store: Shaky) -> None:
    await trail.record(
        AuditEvent.REVOCATION,
        Outcome.REFUSED,
        address=ADDRESS,
        reason=Reason.CLIENT_REVOKED,
        subject="user-1",
        client_id="client-1",
        grant_id="grant-1",
    )

    assert await kept(store) == [
        AuditRecord(
            event_id="006b49d200" + "00" * 9,
            at=NOW,
            event=AuditEvent.REVOCATION,
            outcome=Outcome.REFUSED,
            reason="client_revoked",
            subject="user-1",
            client_id="client-1",
            address="192.0.2.7",
            grant_id="grant-1",
        )
    ]


async def test_an_event_that_must_be_kept_and_cannot_be_stops_the_answer(trail: AuditTrail, store: Shaky) -> None:
    store.is_down = True

    with pytest.raises(StoreUnavailable):
        await trail.record(AuditEvent.LOGIN, Outcome.OK, address=ADDRESS)


async def test_noted_events_are_kept_soon_in_their_order(trail: AuditTrail, store: Shaky) -> None:
    for event in (AuditEvent.REFRESH, AuditEvent.LIMIT):
        note(trail, event)
    assert await kept(store) == []

    await trail.write_queue()
    await trail.write_queue()

    assert [record.event for record in await kept(store)] == [AuditEvent.REFRESH, AuditEvent.LIMIT]


async def test_events_of_one_second_are_in_their_order_whichever_process_made_them(store: Shaky) -> None:
    clock = [NOW + 0.25]
    here, elsewhere = (trail_of(store, now=lambda: clock[0]) for _ in range(2))
    for trail, event in (
        (here, AuditEvent.LOGIN),
        (here, AuditEvent.CONSENT),
        (elsewhere, AuditEvent.CODE_REDEMPTION),
        (here, AuditEvent.REFRESH),
        (elsewhere, AuditEvent.REVOCATION),
    ):
        await trail.record(event, Outcome.OK, address=ADDRESS)
        clock[0] += 0.001

    assert [record.event.value for record in await kept(store)] == [
        "login",
        "consent",
        "code_redemption",
        "refresh",
        "revocation",
    ]


async def test_events_of_one_process_keep_their_order_though_its_clock_stands_still(
    trail: AuditTrail, store: Shaky
) -> None:
    for event in (AuditEvent.LOGIN, AuditEvent.CONSENT, AuditEvent.CODE_REDEMPTION):
        await trail.record(event, Outcome.OK, address=ADDRESS)

    assert [record.event.value for record in await kept(store)] == ["login", "consent", "code_redemption"]


async def test_noted_events_wait_for_a_store_that_is_down(
    trail: AuditTrail, store: Shaky, caplog: pytest.LogCaptureFixture
) -> None:
    note(trail, AuditEvent.REFRESH)
    store.is_down = True
    await trail.write_queue()
    note(trail, AuditEvent.LIMIT)
    store.is_down = False
    await trail.write_queue()

    assert [record.event for record in await kept(store)] == [AuditEvent.REFRESH, AuditEvent.LIMIT]
    assert "audit events wait: the disk is full" in caplog.text


async def test_events_whose_writing_was_not_acknowledged_are_kept_once_and_later_ones_too(
    trail: AuditTrail, store: Shaky
) -> None:
    note(trail, AuditEvent.REFRESH)
    store.loses_answers = True
    await trail.write_queue()
    note(trail, AuditEvent.LIMIT)
    store.loses_answers = False
    await trail.write_queue()

    assert [record.event for record in await kept(store)] == [AuditEvent.REFRESH, AuditEvent.LIMIT]


async def test_events_that_the_store_fails_over_are_given_up_with_a_word_and_later_ones_are_kept(
    trail: AuditTrail, store: Shaky, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_events: object) -> None:
        raise RuntimeError("a fault of ours")

    note(trail, AuditEvent.REFRESH)
    with monkeypatch.context() as failing:
        failing.setattr(store, "append_events", fail)
        await trail.write_queue()
    note(trail, AuditEvent.LIMIT)
    await trail.write_queue()

    assert [record.event for record in await kept(store)] == [AuditEvent.LIMIT]
    assert "1 audit events cannot be written and are lost" in caplog.text
    assert "a fault of ours" in caplog.text


async def test_a_flood_of_events_is_bounded_and_the_log_says_how_many_were_lost(
    trail: AuditTrail, store: Shaky, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_LONGEST_QUEUE", 3)
    for _ in range(5):
        note(trail, AuditEvent.LIMIT)
    await trail.write_queue()

    assert len(await kept(store)) == 3
    assert "2 audit events did not fit the queue and are lost" in caplog.text


async def test_one_address_fills_neither_the_trail_nor_the_queue_with_refusals(
    store: Shaky, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = NOW
    trail = trail_of(store, now=lambda: now)
    monkeypatch.setattr(module, "MOST_REFUSALS", 3)
    for _ in range(10):
        note(trail, AuditEvent.REFRESH, Outcome.REFUSED, network="flooding")
        note(trail, AuditEvent.REFRESH, Outcome.REFUSED, network="flooding")
    note(trail, AuditEvent.CODE_REDEMPTION, Outcome.REFUSED, network="flooding")
    note(trail, AuditEvent.REFRESH, Outcome.REFUSED, network="other")
    for _ in range(5):
        note(trail, AuditEvent.REFRESH, network="flooding")
    now += 600
    note(trail, AuditEvent.REFRESH, Outcome.REFUSED, network="flooding")
    await trail.write_queue()

    refused = [record.event for record in await kept(store) if record.outcome is Outcome.REFUSED]
    assert refused == [AuditEvent.REFRESH] * 3 + [AuditEvent.CODE_REDEMPTION] + [AuditEvent.REFRESH] * 2
    assert len(await kept(store)) == len(refused) + 5
    assert "17 more refusals of addresses that cause many are not in the audit trail" in caplog.text
    caplog.clear()
    await trail.write_queue()
    assert caplog.text == ""


async def test_many_addresses_fill_the_trail_with_refusals_no_more_than_one(
    store: Shaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = trail_of(store)
    monkeypatch.setattr(module, "MOST_REFUSALS_OF_ALL", 3)
    monkeypatch.setattr(module, "_MOST_ADDRESSES", 2)
    for number in range(9):
        note(trail, AuditEvent.REFRESH, Outcome.REFUSED, network=f"192.0.2.{number}")
    note(trail, AuditEvent.CODE_REDEMPTION, Outcome.REFUSED, network="192.0.2.1")
    await trail.write_queue()

    assert [record.event for record in await kept(store)] == [AuditEvent.REFRESH] * 3 + [AuditEvent.CODE_REDEMPTION]


async def test_what_is_counted_of_addresses_is_bounded(store: Shaky, monkeypatch: pytest.MonkeyPatch) -> None:
    trail = trail_of(store)
    monkeypatch.setattr(module, "_MOST_ADDRESSES", 2)
    for number in range(5):
        note(trail, AuditEvent.REFRESH, Outcome.REFUSED, network=f"192.0.2.{number}")
    assert len(trail._refusals) <= 2


async def test_the_queue_is_written_in_the_background_and_at_the_end(trail: AuditTrail, store: Shaky) -> None:
    turns, waiting = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def wait() -> None:
        waiting.release()
        await turns.acquire()

    async with trail.writing(wait):
        note(trail, AuditEvent.REFRESH)
        await waiting.acquire()
        turns.release()
        await waiting.acquire()
        assert len(await kept(store)) == 1
        note(trail, AuditEvent.LIMIT)

    assert len(await kept(store)) == 2


@pytest.mark.parametrize("event", sorted(ISSUED))
async def test_a_client_was_used_last_when_it_got_tokens_by_whatever_grant(
    trail: AuditTrail, store: Shaky, event: AuditEvent
) -> None:
    for each, outcome in ((event, Outcome.OK), (AuditEvent.REVOCATION, Outcome.OK), (event, Outcome.REFUSED)):
        await trail.record(each, outcome, address=ADDRESS, client_id="client_1")
    assert await last_use_of_client(store, "client_1") == NOW
    assert await last_use_of_client(store, "client_2") is None


def test_every_grant_by_which_a_client_gets_tokens_is_known_as_one() -> None:
    sources = "".join(path.read_text() for path in Path(grants.__file__).parent.glob("*.py"))
    noted = re.findall(r"note_issued\(\s*request, AuditEvent\.(\w+)", sources)
    assert {*noted, "TOKEN_EXCHANGE"} == {event.name for event in ISSUED}
