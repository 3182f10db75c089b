"""The audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gatepost.oauth.audit import AuditQuery, AuditRecord


class AuditStore(Protocol):
    """Events, only ever added, and deleted by age."""

    async def append_events(self, records: Sequence[AuditRecord]) -> None:
        """Keep all of them.

        Repeated: one whose `event_id` is kept already stays as it is, so it may be repeated, also with others.
        """

    async def list_events(self, query: AuditQuery, *, before: str | None, limit: int) -> list[AuditRecord]:
        """Return at most `limit` events, the newest first; the next page is `before` the last one's `event_id`."""

    async def delete_events(self, *, before: int, limit: int) -> int:
        """Delete events that happened until `before`."""
