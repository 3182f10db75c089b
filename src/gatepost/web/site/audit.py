"""What endpoints write to the audit trail, with the address that the request comes from."""

from __future__ import annotations

from typing import Final, Unpack

from starlette.requests import HTTPConnection

from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent, Outcome
from gatepost.observability.audit_trail import AuditTrail, EventDetails
from gatepost.web.site.client_address import ClientAddresses, limit_key


@dataclass(frozen=True, slots=True)
class Audit:
    """Writes to an audit trail."""

    trail: AuditTrail | None
    """None keeps nothing."""
    addresses: ClientAddresses

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
        if self.trail is not None:
            await self.trail.record(event, outcome, address=self._address(connection), **details)

    def note(
        self,
        connection: HTTPConnection,
        event: AuditEvent,
        outcome: Outcome = Outcome.OK,
        **details: Unpack[EventDetails],
    ) -> None:
        """Keep an event soon."""
        if self.trail is not None:
            address = self._address(connection)
            self.trail.note(event, outcome, address=address, network=limit_key(address), **details)

    def _address(self, connection: HTTPConnection) -> str:
        known: str | None = getattr(connection.state, "address", None)
        if known is None:
            connection.state.address = known = self.addresses.of(connection.scope)  # `log_refusal` names it, too
        return known


NO_AUDIT: Final = Audit(None, ClientAddresses())
"""For an endpoint that is served without an audit trail."""
