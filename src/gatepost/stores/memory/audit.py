"""The audit trail in memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from gatepost.oauth.audit import AuditQuery, AuditRecord
from gatepost.stores.memory.records import Records


class MemoryAuditStore:
    """`AuditStore` in memory."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def append_events(self, records: Sequence[AuditRecord]) -> None:
        """See `AuditStore.append_events`."""
        self._records.audit_events.update({record.event_id: record for record in records})

    async def list_events(self, query: AuditQuery, *, before: str | None, limit: int) -> list[AuditRecord]:
        """See `AuditStore.list_events`."""
        newest_first = sorted(self._records.audit_events.values(), key=lambda record: record.event_id, reverse=True)
        asked_for = (
            record for record in newest_first if query.matches(record) and (before is None or record.event_id < before)
        )
        return list(islice(asked_for, limit))

    async def delete_events(self, *, before: int, limit: int) -> int:
        """See `AuditStore.delete_events`."""
        events = self._records.audit_events
        over = list(islice((key for key, record in events.items() if record.at <= before), limit))
        for key in over:
            del events[key]
        return len(over)
