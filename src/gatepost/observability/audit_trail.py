"""The audit trail: what is kept at once, and what is written in the background.

What gives or takes access and is not to be found elsewhere (logins, consent, reuse, revocations) is durable before the
answer goes out: `record`. What the store's own rows show as well (a token that was issued), and what an attacker can
cause at will (refusals, limits), is written behind: `note` queues it, and it is written within a second, or at the end
of the server. A crash can lose the last second of those, and a flood what does not fit the queue; neither can slow an
answer down. Of refusals of one kind only so many are kept of one address, and of all, so that nobody fills the store
with them, or the queue when something else is not to be seen.

What came well is a line of the log as well; refusals are logged where they are answered, with more to say.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import field
from typing import Final, TypedDict, TypeVar, Unpack

from gatepost.coroutines import repeating
from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import ISSUED, AuditEvent, AuditQuery, AuditRecord, Outcome, event_id
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.audit import AuditStore
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.telemetry.catalogue import AUDIT_EVENTS
from gatepost.telemetry.seam import Telemetry
from gatepost.tokens.opaque import RandomBytes

K = TypeVar("K")

_LONGEST_QUEUE: Final = 10_000
MOST_REFUSALS: Final = 100
"""How many refusals of one kind are noted of one address in `REFUSALS_SECONDS`."""
MOST_REFUSALS_OF_ALL: Final = 3000
"""How many of all addresses."""
REFUSALS_SECONDS: Final = 600
_MOST_ADDRESSES: Final = 10_000
"""With their kinds; beyond that all are counted anew."""

_LOOKED_AT: Final = 50

_log = logging.getLogger("gatepost.audit")


async def last_use_of_client(store: AuditStore, client_id: str) -> int | None:
    """Return when a client last got tokens, seconds UTC; None where its latest events do not say."""
    came_well = AuditQuery(client_id=client_id, outcome=Outcome.OK.value)
    events = await store.list_events(came_well, before=None, limit=_LOOKED_AT)
    return next((event.at for event in events if event.event in ISSUED), None)


class EventDetails(TypedDict, total=False):
    """What is known of an event beside its kind and its address."""

    reason: Reason | None
    subject: str | None
    client_id: str | None
    grant_id: str | None
    actor: str | None


@dataclass(slots=True, kw_only=True)
class AuditTrail:
    """The audit trail of a server; `random_bytes` keeps the ids of several processes apart."""

    store: AuditStore
    now: Callable[[], float]
    """Seconds UTC, with fractions: the events of one second are in their order, whichever process made them."""
    random_bytes: RandomBytes
    telemetry: Telemetry | None = None
    """Counts events; None counts nothing."""
    _latest: tuple[int, int] = field(default=(0, 0), init=False)
    """Second and microsecond of the latest event."""
    _queue: list[AuditRecord] = field(default_factory=list, init=False)
    _dropped: int = field(default=0, init=False)
    _refusals: dict[tuple[str, AuditEvent], tuple[int, int]] = field(default_factory=dict, init=False)
    """Since when how many were noted, by address and kind."""
    _refusals_of_all: dict[AuditEvent, tuple[int, int]] = field(default_factory=dict, init=False)
    """Likewise by kind alone."""
    _left_out: int = field(default=0, init=False)

    async def record(
        self, event: AuditEvent, outcome: Outcome, *, address: str, **details: Unpack[EventDetails]
    ) -> None:
        """Keep an event before going on.

        Raises:
            StoreUnavailable: it cannot be kept.
        """
        record = self._record_of(event, outcome, address, details)
        await self.store.append_events([record])
        self._count(event, outcome, details)
        _log_event(record)

    def note(
        self, event: AuditEvent, outcome: Outcome, *, address: str, network: str, **details: Unpack[EventDetails]
    ) -> None:
        """Keep an event soon; `network` is what refusals of this address are counted under."""
        self._count(event, outcome, details)
        if outcome is Outcome.REFUSED and not self._counts_refusal(network, event):
            self._left_out += 1
        elif len(self._queue) >= _LONGEST_QUEUE:
            self._dropped += 1
        else:
            record = self._record_of(event, outcome, address, details)
            self._queue.append(record)
            _log_event(record)

    async def write_queue(self) -> None:
        """Write what has been noted; what cannot be written stays for the next time."""
        if self._dropped:
            _log.warning("%s audit events did not fit the queue and are lost", self._dropped)
            self._dropped = 0
        if self._left_out:
            _log.warning("%s more refusals of addresses that cause many are not in the audit trail", self._left_out)
            self._left_out = 0
        events = self._queue
        if not events:
            return
        self._queue = []
        try:
            await self.store.append_events(events)
        except StoreUnavailable as error:
            _log.warning("audit events wait: %s", error)
            self._queue = (events + self._queue)[:_LONGEST_QUEUE]
        except Exception:  # noqa: BLE001 - a fault of ours must not end the writing of all later events
            # Trying again would meet it again.
            _log.exception("%s audit events cannot be written and are lost", len(events))

    def writing(self, wait: Callable[[], Awaitable[None]]) -> AbstractAsyncContextManager[None]:
        """Write in the background what has been noted, each time that `wait` returns, and once more at the end."""
        return repeating(self.write_queue, wait, name="gatepost-audit")

    def _count(self, event: AuditEvent, outcome: Outcome, details: EventDetails) -> None:
        if self.telemetry is not None:
            reason = details.get("reason")
            labels = {"event": event.value, "outcome": outcome.value, "reason": "" if reason is None else reason.value}
            self.telemetry.count(AUDIT_EVENTS, labels)

    def _counts_refusal(self, network: str, event: AuditEvent) -> bool:
        """Count a refusal; False when there have been so many that it is not kept."""
        if len(self._refusals) >= _MOST_ADDRESSES:
            self._refusals.clear()
        now = int(self.now())
        return _counts(self._refusals, (network, event), MOST_REFUSALS, now=now) and _counts(
            self._refusals_of_all, event, MOST_REFUSALS_OF_ALL, now=now
        )

    def _record_of(self, event: AuditEvent, outcome: Outcome, address: str, details: EventDetails) -> AuditRecord:
        now = self.now()
        at = int(now)
        microsecond = int((now - at) * 1e6)
        if at == self._latest[0]:
            microsecond = max(microsecond, self._latest[1] + 1)
        self._latest = (at, microsecond)
        reason = details.get("reason")
        return AuditRecord(
            event_id=event_id(at=at, microsecond=microsecond, random=self.random_bytes(6)),
            at=at,
            event=event,
            outcome=outcome,
            reason=None if reason is None else reason.value,
            subject=details.get("subject"),
            client_id=details.get("client_id"),
            address=address,
            grant_id=details.get("grant_id"),
            actor=details.get("actor"),
        )


def _counts(counted: dict[K, tuple[int, int]], key: K, most: int, *, now: int) -> bool:
    """Count one more under `key`; False when there have been `most` within `REFUSALS_SECONDS`."""
    since, count = counted.get(key, (now, 0))
    if not since <= now < since + REFUSALS_SECONDS:
        since, count = now, 0
    if count >= most:
        return False
    counted[key] = (since, count + 1)
    return True


def _log_event(record: AuditRecord) -> None:
    if record.outcome is not Outcome.OK:
        return
    # Apps refresh hourly for as long as they are connected; that is nothing that a person waits for.
    level = logging.DEBUG if record.event is AuditEvent.REFRESH else logging.INFO
    if _log.isEnabledFor(level):
        details = {
            "reason": record.reason,
            "subject": record.subject,
            "client_id": record.client_id,
            "grant_id": record.grant_id,
            "address": record.address,
            "actor": record.actor,
        }
        _log.log(level, record.event.value, extra=details)
