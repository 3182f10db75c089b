"""The audit trail in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gatepost.oauth.audit import AuditEvent, AuditQuery, AuditRecord, Outcome
from gatepost.stores.sql.database import Database, Row, Transaction

_INSERT: Final = """
    INSERT INTO audit_events (event_id, at, event, outcome, reason, subject, client_id, address, grant_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""

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


class SqlAuditStore:
    """`AuditStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append_events(self, records: Sequence[AuditRecord]) -> None:
        """See `AuditStore.append_events`."""

        async def operation(transaction: Transaction) -> None:
            for record in records:
                await transaction.run(
                    _INSERT,
                    record.event_id,
                    record.at,
                    record.event.value,
                    record.outcome.value,
                    record.reason,
                    record.subject,
                    record.client_id,
                    record.address,
                    record.grant_id,
                )

        await self._database.write(operation)

    async def list_events(self, query: AuditQuery, *, before: str | None, limit: int) -> list[AuditRecord]:
        """See `AuditStore.list_events`."""

        async def operation(transaction: Transaction) -> list[AuditRecord]:
            rows = await transaction.all(
                _SELECT,
                before or _AFTER_ALL,
                _first_id(query.since),
                query.event,
                query.outcome,
                query.subject,
                query.client_id,
                limit,
            )
            return [_audit_record(row) for row in rows]

        return await self._database.read(operation)

    async def delete_events(self, *, before: int, limit: int) -> int:
        """See `AuditStore.delete_events`."""

        async def operation(transaction: Transaction) -> int:
            return await transaction.run(_DELETE, _first_id(before + 1), limit)

        return await self._database.write(operation)


def _first_id(second: int) -> str:
    """Return what sorts before every id of this second and after every one of the second before."""
    return f"{second:010x}"


def _audit_record(row: Row) -> AuditRecord:
    return AuditRecord(
        event_id=row["event_id"],
        at=row["at"],
        event=AuditEvent(row["event"]),
        outcome=Outcome(row["outcome"]),
        reason=row["reason"],
        subject=row["subject"],
        client_id=row["client_id"],
        address=row["address"],
        grant_id=row["grant_id"],
    )
