"""Writing the audit trail.

What gives or takes access and is not to be found elsewhere (logins, consent, reuse, revocations) is durable before the
answer goes out: `record`. What the store's own rows show as well (a token that was issued), and what an attacker can
cause at will (refusals, limits), is written behind: `note` queues it, and it is written within a second, or at the end
of the server. A crash can lose the last second of those, and a flood what does not fit the queue; neither can slow an
answer down. Of refusals of one kind only so many are kept of one address, so that nobody fills the store with them, or
the queue when something else is not to be seen.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, Protocol

from starlette.requests import HTTPConnection

from gatepost.oauth.audit import AuditEvent, AuditRecord, Outcome, event_id
from gatepost.oauth.reasons import Reason
from gatepost.stores.contract.audit import AuditStore
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.tokens.opaque import RandomBytes
from gatepost.web.site.client_address import ClientAddresses, limit_key

_LONGEST_QUEUE: Final = 10_000
MOST_REFUSALS: Final = 100
"""How many refusals of one kind are noted of one address in `REFUSALS_SECONDS`."""
REFUSALS_SECONDS: Final = 600
_MOST_ADDRESSES: Final = 10_000
"""With their kinds; beyond that all are counted anew."""

_log = logging.getLogger("gatepost.audit")


class Audit(Protocol):
    """What endpoints write to."""

    async def record(
        self,
        connection: HTTPConnection,
        event: AuditEvent,
        outcome: Outcome = Outcome.OK,
        *,
        reason: Reason | None = None,
        subject: str | None = None,
        client_id: str | None = None,
        grant_id: str | None = None,
    ) -> None:
        """Keep an event before going on.

        Raises:
            StoreUnavailable: it cannot be kept.
        """

    def note(
        self,
        connection: HTTPConnection,
        event: AuditEvent,
        outcome: Outcome = Outcome.OK,
        *,
        reason: Reason | None = None,
        subject: str | None = None,
        client_id: str | None = None,
        grant_id: str | None = None,
    ) -> None:
        """Keep an event soon."""


class _NoAudit:
    """Keeps nothing."""

    async def record(self, *_: object, **__: object) -> None:
        """See `Audit.record`."""

    def note(self, *_: object, **__: object) -> None:
        """See `Audit.note`."""


NO_AUDIT: Final[Audit] = _NoAudit()
"""For an endpoint that is served without an audit trail."""


class AuditTrail:
    """The audit trail of a server: an `Audit`.

    Args:
        store: where they are kept.
        addresses: says from where a request comes.
        now: the clock, whole seconds UTC.
        random_bytes: keeps the ids of several processes apart.
    """

    def __init__(
        self, *, store: AuditStore, addresses: ClientAddresses, now: Callable[[], int], random_bytes: RandomBytes
    ) -> None:
        self._store = store
        self._addresses = addresses
        self._now = now
        self._random_bytes = random_bytes
        self._made = 0
        self._queue: list[AuditRecord] = []
        self._dropped = 0
        self._refusals: dict[tuple[str, AuditEvent], tuple[int, int]] = {}
        """Since when how many were noted, by address and kind."""
        self._left_out = 0

    async def record(
        self,
        connection: HTTPConnection,
        event: AuditEvent,
        outcome: Outcome = Outcome.OK,
        *,
        reason: Reason | None = None,
        subject: str | None = None,
        client_id: str | None = None,
        grant_id: str | None = None,
    ) -> None:
        """See `Audit.record`."""
        await self._store.append_events(
            [
                self._event(
                    connection, event, outcome, reason=reason, subject=subject, client_id=client_id, grant_id=grant_id
                )
            ]
        )

    def note(
        self,
        connection: HTTPConnection,
        event: AuditEvent,
        outcome: Outcome = Outcome.OK,
        *,
        reason: Reason | None = None,
        subject: str | None = None,
        client_id: str | None = None,
        grant_id: str | None = None,
    ) -> None:
        """See `Audit.note`."""
        if outcome is Outcome.REFUSED and not self._counts_refusal(
            limit_key(self._addresses.of(connection.scope)), event
        ):
            self._left_out += 1
            return
        if len(self._queue) >= _LONGEST_QUEUE:
            self._dropped += 1
            return
        self._queue.append(
            self._event(
                connection, event, outcome, reason=reason, subject=subject, client_id=client_id, grant_id=grant_id
            )
        )

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
            await self._store.append_events(events)
        except StoreUnavailable as error:
            _log.warning("audit events wait: %s", error)
            self._queue = (events + self._queue)[:_LONGEST_QUEUE]
        except Exception:  # noqa: BLE001 - a fault of ours must not end the writing of all later events
            # Trying again would meet it again.
            _log.exception("%s audit events cannot be written and are lost", len(events))

    @asynccontextmanager
    async def writing(self, wait: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
        """Write in the background what has been noted, each time that `wait` returns, and once more at the end."""

        async def write() -> None:
            while True:
                await wait()
                await self.write_queue()

        task = asyncio.create_task(write(), name="gatepost-audit")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self.write_queue()

    def _counts_refusal(self, address: str, event: AuditEvent) -> bool:
        """Count a refusal; False when there have been so many that it is not kept."""
        now = self._now()
        since, count = self._refusals.get((address, event), (now, 0))
        if not since <= now < since + REFUSALS_SECONDS:
            since, count = now, 0
        if count >= MOST_REFUSALS:
            return False
        if len(self._refusals) >= _MOST_ADDRESSES:
            self._refusals.clear()
        self._refusals[address, event] = (since, count + 1)
        return True

    def _event(
        self,
        connection: HTTPConnection,
        event: AuditEvent,
        outcome: Outcome,
        *,
        reason: Reason | None,
        subject: str | None,
        client_id: str | None,
        grant_id: str | None,
    ) -> AuditRecord:
        now = self._now()
        self._made += 1
        return AuditRecord(
            event_id=event_id(at=now, sequence=self._made, random=self._random_bytes(6)),
            at=now,
            event=event,
            outcome=outcome,
            reason=None if reason is None else reason.value,
            subject=subject,
            client_id=client_id,
            address=self._addresses.of(connection.scope),
            grant_id=grant_id,
        )
