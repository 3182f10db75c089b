"""What stands in the audit trail of the request that caused an event."""

from __future__ import annotations

from starlette.requests import Request

from gatepost.oauth.audit import AuditEvent, AuditQuery, Outcome
from gatepost.observability.audit_trail import MOST_REFUSALS, AuditTrail
from gatepost.stores.sql.sqlite import memory_store
from gatepost.web.site.audit import NO_AUDIT, Audit
from gatepost.web.site.client_address import ClientAddresses


def request_from(address: str) -> Request:
    return Request({"type": "http", "client": (address, 50_000), "headers": [(b"x-forwarded-for", b"203.0.113.9")]})


async def test_an_event_has_the_address_that_its_request_comes_from() -> None:
    store = memory_store()
    trail = AuditTrail(store=store.audit, now=lambda: 1_800_000_000, random_bytes=bytes)
    audit = Audit(trail, ClientAddresses(["192.0.2.1"]))
    await audit.record(request_from("192.0.2.7"), AuditEvent.LOGIN, subject="user-1")
    audit.note(request_from("192.0.2.1"), AuditEvent.REFRESH, client_id="client-1")
    await trail.write_queue()
    kept = await store.audit.list_events(AuditQuery(), before=None, limit=10)
    assert [(record.event, record.outcome, record.address, record.subject, record.client_id) for record in kept] == [
        (AuditEvent.REFRESH, Outcome.OK, "203.0.113.9", None, "client-1"),
        (AuditEvent.LOGIN, Outcome.OK, "192.0.2.7", "user-1", None),
    ]


async def test_refusals_are_counted_for_the_network_of_a_customer() -> None:
    """A /64 is the least that a customer of a network gets (RFC 6177 section 2)."""
    store = memory_store()
    trail = AuditTrail(store=store.audit, now=lambda: 1_800_000_000, random_bytes=bytes)
    audit = Audit(trail, ClientAddresses())
    for number in range(MOST_REFUSALS + 5):
        audit.note(request_from(f"2001:db8::{number}"), AuditEvent.REFRESH, Outcome.REFUSED)
    audit.note(request_from("2001:db8:0:1::1"), AuditEvent.REFRESH, Outcome.REFUSED)
    await trail.write_queue()
    kept = await store.audit.list_events(AuditQuery(), before=None, limit=1000)
    assert len(kept) == MOST_REFUSALS + 1


async def test_without_an_audit_trail_nothing_happens() -> None:
    await NO_AUDIT.record(request_from("192.0.2.7"), AuditEvent.LOGIN)
    NO_AUDIT.note(request_from("192.0.2.7"), AuditEvent.LOGIN)
