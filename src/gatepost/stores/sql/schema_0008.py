"""Schema version 8: the audit trail. An event's id sorts by time, so the key is the only index it needs."""

from __future__ import annotations

from typing import Final

STATEMENTS: Final = (
    """
    CREATE TABLE audit_events (
        event_id TEXT NOT NULL PRIMARY KEY,
        at BIGINT NOT NULL,
        event TEXT NOT NULL,
        outcome TEXT NOT NULL,
        reason TEXT,
        subject TEXT,
        client_id TEXT,
        address TEXT,
        grant_id TEXT
    )
    """,
)
