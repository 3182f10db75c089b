"""Schema version 4: sessions, streams and questions of the handshake era."""

from __future__ import annotations

from typing import Final

STATEMENTS: Final = (
    """
    CREATE TABLE mcp_sessions (
        session_fingerprint BYTEA NOT NULL PRIMARY KEY,
        owner TEXT NOT NULL,
        revision TEXT NOT NULL,
        client_capabilities BYTEA NOT NULL,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        log_level TEXT
    )
    """,
    "CREATE INDEX mcp_sessions_by_end ON mcp_sessions (expires_at)",
    """
    CREATE TABLE mcp_subscriptions (
        session_fingerprint BYTEA NOT NULL REFERENCES mcp_sessions (session_fingerprint) ON DELETE CASCADE,
        uri TEXT NOT NULL,
        PRIMARY KEY (session_fingerprint, uri)
    )
    """,
    """
    CREATE TABLE mcp_stream_events (
        session_fingerprint BYTEA NOT NULL REFERENCES mcp_sessions (session_fingerprint) ON DELETE CASCADE,
        stream_id TEXT NOT NULL,
        number BIGINT NOT NULL,
        message BYTEA NOT NULL,
        PRIMARY KEY (session_fingerprint, stream_id, number)
    )
    """,
    """
    CREATE TABLE mcp_finished_streams (
        session_fingerprint BYTEA NOT NULL REFERENCES mcp_sessions (session_fingerprint) ON DELETE CASCADE,
        stream_id TEXT NOT NULL,
        PRIMARY KEY (session_fingerprint, stream_id)
    )
    """,
    """
    CREATE TABLE mcp_questions (
        session_fingerprint BYTEA NOT NULL REFERENCES mcp_sessions (session_fingerprint) ON DELETE CASCADE,
        request_id TEXT NOT NULL,
        expires_at BIGINT NOT NULL,
        answer BYTEA,
        PRIMARY KEY (session_fingerprint, request_id)
    )
    """,
)
