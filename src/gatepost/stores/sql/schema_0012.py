"""Schema version 12: what processes that serve one session tell each other.

A session has a bounded number of cancellations; those that are over go with the next one, and all with the session.
"""

from __future__ import annotations

from typing import Final

STATEMENTS: Final = (
    """
    CREATE TABLE mcp_cancellations (
        session_fingerprint BYTEA NOT NULL REFERENCES mcp_sessions (session_fingerprint) ON DELETE CASCADE,
        request_id TEXT NOT NULL,
        expires_at BIGINT NOT NULL,
        PRIMARY KEY (session_fingerprint, request_id)
    )
    """,
    """
    CREATE TABLE mcp_stream_carriers (
        session_fingerprint BYTEA NOT NULL REFERENCES mcp_sessions (session_fingerprint) ON DELETE CASCADE,
        stream_id TEXT NOT NULL,
        carrier TEXT NOT NULL,
        PRIMARY KEY (session_fingerprint, stream_id)
    )
    """,
    """
    CREATE TABLE noted_changes (
        topic TEXT NOT NULL,
        change TEXT NOT NULL,
        number BIGINT NOT NULL,
        origin TEXT NOT NULL,
        noted_at BIGINT NOT NULL,
        PRIMARY KEY (topic, change)
    )
    """,
    "CREATE INDEX noted_changes_by_number ON noted_changes (topic, number)",
    "CREATE INDEX noted_changes_by_time ON noted_changes (noted_at)",
)
