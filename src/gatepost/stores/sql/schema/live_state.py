"""The live state of MCP, and what processes agree on while they run. Nothing of a session outlives it."""

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
        log_level TEXT,
        app TEXT NOT NULL
    )
    """,
    "CREATE INDEX mcp_sessions_by_end ON mcp_sessions (expires_at)",
    # The sessions of one owner are counted, and found by when they were used last.
    "CREATE INDEX mcp_sessions_by_owner ON mcp_sessions (owner, expires_at)",
    """
    CREATE TABLE mcp_subscriptions (
        session_fingerprint BYTEA NOT NULL REFERENCES mcp_sessions (session_fingerprint) ON DELETE CASCADE,
        uri TEXT NOT NULL,
        as_sent TEXT NOT NULL,
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
    CREATE TABLE mcp_stream_connections (
        session_fingerprint BYTEA NOT NULL REFERENCES mcp_sessions (session_fingerprint) ON DELETE CASCADE,
        stream_id TEXT NOT NULL,
        connection TEXT NOT NULL,
        PRIMARY KEY (session_fingerprint, stream_id)
    )
    """,
    """
    CREATE TABLE mcp_client_requests (
        session_fingerprint BYTEA NOT NULL REFERENCES mcp_sessions (session_fingerprint) ON DELETE CASCADE,
        request_id TEXT NOT NULL,
        expires_at BIGINT NOT NULL,
        response BYTEA,
        PRIMARY KEY (session_fingerprint, request_id)
    )
    """,
    # A session has a bounded number of them; those that are over go with the next one.
    """
    CREATE TABLE mcp_cancellations (
        session_fingerprint BYTEA NOT NULL REFERENCES mcp_sessions (session_fingerprint) ON DELETE CASCADE,
        request_id TEXT NOT NULL,
        expires_at BIGINT NOT NULL,
        PRIMARY KEY (session_fingerprint, request_id)
    )
    """,
    """
    CREATE TABLE change_log (
        topic TEXT NOT NULL,
        change TEXT NOT NULL,
        number BIGINT NOT NULL,
        origin TEXT NOT NULL,
        noted_at BIGINT NOT NULL,
        PRIMARY KEY (topic, change)
    )
    """,
    "CREATE INDEX change_log_by_number ON change_log (topic, number)",
    "CREATE INDEX change_log_by_time ON change_log (noted_at)",
    # One number for each key: until when its allowance is spent, microseconds UTC.
    "CREATE TABLE limits (name TEXT NOT NULL PRIMARY KEY, spent_until BIGINT NOT NULL)",
    "CREATE INDEX limits_by_end ON limits (spent_until)",
    "CREATE TABLE leases (name TEXT NOT NULL PRIMARY KEY, holder TEXT NOT NULL, expires_at BIGINT NOT NULL)",
)
