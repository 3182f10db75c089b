"""What endpoints write to the audit trail, with the address that the request comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, Unpack

from starlette.requests import HTTPConnection

from gatepost.oauth.audit import AuditEvent, Outcome
from gatepost.observability.audit_trail import AuditTrail, EventDetails
from gatepost.web.site.client_address import ClientAddresses, limit_key


class Audit(Protocol):
    """What endpoints write to."""

    async def record(
        self,
        connection: HTTPConnection,
        event: AuditEvent,
        outcome: Outcome = Outcome.OK,
        **details: Unpack[EventDetails],
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
        **details: Unpack[EventDetails],
    ) -> None:
        """Keep an event soon."""


class _NoAudit(Audit):
    async def record(self, *_: object, **__: object) -> None:
        """Keep nothing."""

    def note(self, *_: object, **__: object) -> None:
        """Keep nothing."""


NO_AUDIT: Final[Audit] = _NoAudit()
"""For an endpoint that is served without an audit trail."""


@dataclass(frozen=True, slots=True)
class RequestAudit(Audit):
    """Writes to an audit trail."""

    trail: AuditTrail
    addresses: ClientAddresses

    async def record(
        self,
        connection: HTTPConnection,
        event: AuditEvent,
        outcome: Outcome = Outcome.OK,
        **details: Unpack[EventDetails],
    ) -> None:
        """Keep an event before going on."""
        await self.trail.record(event, outcome, address=self.addresses.of(connection.scope), **details)

    def note(
        self,
        connection: HTTPConnection,
        event: AuditEvent,
        outcome: Outcome = Outcome.OK,
        **details: Unpack[EventDetails],
    ) -> None:
        """Keep an event soon."""
        address = self.addresses.of(connection.scope)
        self.trail.note(event, outcome, address=address, network=limit_key(address), **details)
