"""The audit trail, on every backend."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost.oauth.audit import AuditEvent, AuditQuery, Outcome
from gatepost.stores.conformance.records import NOW, audit_record
from gatepost.stores.contract.store import Store

EVERYTHING = AuditQuery()


async def test_events_are_found_as_they_were_the_newest_first(store: Store) -> None:
    full = audit_record(1, outcome=Outcome.REFUSED, reason="login_failed", grant_id="grant-1")
    bare = audit_record(2, subject=None, client_id=None, address=None)
    later = audit_record(0, at=NOW + 1, event=AuditEvent.CONSENT)
    await store.audit.append_events([full, bare])
    await store.audit.append_events([later])

    assert await store.audit.list_events(EVERYTHING, before=None, limit=10) == [later, bare, full]


async def test_pages_follow_each_other_without_gap_or_overlap(store: Store) -> None:
    events = [audit_record(number) for number in range(5)]
    await store.audit.append_events(events)

    first = await store.audit.list_events(EVERYTHING, before=None, limit=2)
    await store.audit.append_events([audit_record(0, at=NOW + 1)])
    second = await store.audit.list_events(EVERYTHING, before=first[-1].event_id, limit=2)
    third = await store.audit.list_events(EVERYTHING, before=second[-1].event_id, limit=2)

    assert [*first, *second, *third] == events[::-1]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"since": NOW + 1}, [3]),
        ({"since": NOW}, [3, 2, 1]),
        ({"event": "consent"}, [2]),
        ({"outcome": "refused"}, [2]),
        ({"subject": "user-2"}, [3]),
        ({"client_id": "client-2"}, [1]),
        ({"subject": "user-1", "event": "login"}, [1]),
        ({"event": "no such event"}, []),
        ({"until": NOW}, [2, 1]),
        ({"since": NOW + 1, "until": NOW + 1}, [3]),
        ({"until": NOW - 1}, []),
        ({"address": "terminal"}, [2]),
        ({"actor": "user-9"}, [3]),
        ({"actor": "user-9", "subject": "user-2", "event": "login", "outcome": "ok"}, [3]),
        ({"actor": "user-9", "address": "terminal"}, []),
    ],
)
async def test_filters(store: Store, query: dict[str, Any], found: list[int]) -> None:
    events = {
        1: audit_record(1, client_id="client-2"),
        2: audit_record(2, event=AuditEvent.CONSENT, outcome=Outcome.REFUSED, address="terminal"),
        3: audit_record(3, at=NOW + 1, subject="user-2", actor="user-9"),
    }
    await store.audit.append_events(list(events.values()))

    listed = await store.audit.list_events(AuditQuery(**query), before=None, limit=10)

    assert listed == [events[number] for number in found]


async def test_old_events_go_in_batches(store: Store) -> None:
    await store.audit.append_events([audit_record(number) for number in range(3)])
    await store.audit.append_events([audit_record(0, at=NOW + 1)])

    assert await store.audit.delete_events(before=NOW - 1, limit=10) == 0
    assert [await store.audit.delete_events(before=NOW, limit=2) for _ in range(3)] == [2, 1, 0]
    assert await store.audit.list_events(EVERYTHING, before=None, limit=10) == [audit_record(0, at=NOW + 1)]
