"""The audit trail in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gatepost.oauth.audit import AuditQuery, AuditRecord
from gatepost.stores.sql.database import Operations, Transaction, read, write
from gatepost.stores.sql.tables import AUDIT_EVENTS

# An event's id begins with its time, so the key alone gives the order and the pages.
_SELECT: Final = """
    SELECT * FROM audit_events
    WHERE event_id < $1 AND event_id >= $2
      AND (CAST($3 AS TEXT) IS NULL OR event = $3)
      AND (CAST($4 AS TEXT) IS NULL OR outcome = $4)
      AND (CAST($5 AS TEXT) IS NULL OR subject = $5)
      AND (CAST($6 AS TEXT) IS NULL OR client_id = $6)
    ORDER BY event_id DESC LIMIT $7
"""

_DELETE: Final = """
    DELETE FROM audit_events WHERE event_id IN (
        SELECT event_id FROM audit_events WHERE event_id < $1 ORDER BY event_id LIMIT $2
    )
"""

_AFTER_ALL: Final = "g"  # ids are hexadecimal


class SqlAuditStore(Operations):
    """`AuditStore` over a database."""

    @write
    async def append_events(self, transaction: Transaction, records: Sequence[AuditRecord]) -> None:
        for record in records:
            await AUDIT_EVENTS.insert(transaction, record)

    @read
    async def list_events(
        self, transaction: Transaction, query: AuditQuery, *, before: str | None, limit: int
    ) -> list[AuditRecord]:
        return await AUDIT_EVENTS.all(
            transaction,
            _SELECT,
            before or _AFTER_ALL,
            _first_id(query.since),
            query.event,
            query.outcome,
            query.subject,
            query.client_id,
            limit,
        )

    @write
    async def delete_events(self, transaction: Transaction, *, before: int, limit: int) -> int:
        return await transaction.run(_DELETE, _first_id(before + 1), limit)


def _first_id(second: int) -> str:
    """Return what sorts before every id of this second and after every one of the second before."""
    return f"{second:010x}"
