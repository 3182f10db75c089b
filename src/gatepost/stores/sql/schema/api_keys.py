"""API keys, and which scopes there are to make them for."""

from __future__ import annotations

from typing import Final

API_KEYS: Final = (
    """
    CREATE TABLE api_keys (
        key_id TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        key_fingerprint BYTEA NOT NULL UNIQUE,
        user_subject TEXT,
        scopes TEXT NOT NULL,
        resource TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        expires_at BIGINT,
        revoked_at BIGINT,
        last_used_at BIGINT
    )
    """,
    "CREATE INDEX api_keys_by_name ON api_keys (name)",
    "CREATE INDEX api_keys_by_age ON api_keys (created_at DESC, key_id)",
    "CREATE INDEX api_keys_by_user ON api_keys (user_subject) WHERE user_subject IS NOT NULL",
    "CREATE INDEX api_keys_by_end ON api_keys (expires_at) WHERE expires_at IS NOT NULL",
    "CREATE INDEX api_keys_by_revocation ON api_keys (revoked_at) WHERE revoked_at IS NOT NULL",
    # A handful of rows: what servers serve.
    "CREATE TABLE served_endpoints (path TEXT NOT NULL PRIMARY KEY, scopes TEXT NOT NULL)",
)
"""Version 12."""
