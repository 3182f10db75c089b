"""The audit trail in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gatepost.oauth.audit import AuditQuery, AuditRecord
from gatepost.stores.sql.database import Operations, Transaction, Value, read, write
from gatepost.stores.sql.tables import AUDIT_EVENTS

# An event's id begins with its time, so the key gives the order and the pages, and ends each index.
_INDEXED: Final = ("subject", "client_id", "actor", "address", "event")
"""What has an index, in the order in which one is chosen: whoever has few events first."""

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
        # Who does not know what came of it appends the same events again, and perhaps others with them.
        await AUDIT_EVENTS.insert_all(transaction, records, unless_there=True)

    @read
    async def list_events(
        self, transaction: Transaction, query: AuditQuery, *, before: str | None, limit: int
    ) -> list[AuditRecord]:
        first = _first_id(query.since)
        end = _AFTER_ALL if query.until is None else _first_id(query.until + 1)
        parameters: list[Value] = [min(before or _AFTER_ALL, end), first]
        conditions = ["event_id < $1", "event_id >= $2"]
        joined = ""
        for column in (*_INDEXED, "outcome"):
            value: str | None = getattr(query, column)
            if value is not None:
                parameters.append(value)
                # The first goes by its index; an expression keeps the others from going by theirs.
                conditions.append(f"{column}{joined} = ${len(parameters)}")
                joined = " || ''"
        parameters.append(limit)
        where, place = " AND ".join(conditions), len(parameters)
        sql = f"SELECT * FROM audit_events WHERE {where} ORDER BY event_id DESC LIMIT ${place}"  # noqa: S608 - our own names
        return await AUDIT_EVENTS.all(transaction, sql, *parameters)

    @write
    async def delete_events(self, transaction: Transaction, *, before: int, limit: int) -> int:
        return await transaction.run(_DELETE, _first_id(before + 1), limit)


def _first_id(second: int) -> str:
    """Return what sorts before every id of this second and after every one of the second before."""
    return f"{second:010x}"
