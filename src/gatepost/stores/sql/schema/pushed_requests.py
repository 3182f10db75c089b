"""Pushed authorization requests (RFC 9126)."""

from __future__ import annotations

from typing import Final

PUSHED_REQUESTS: Final = (
    """
    CREATE TABLE pushed_requests (
        reference_fingerprint BYTEA NOT NULL PRIMARY KEY,
        client_id TEXT NOT NULL,
        query TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        number BIGINT
    )
    """,
    "CREATE UNIQUE INDEX pushed_requests_by_number ON pushed_requests (number) WHERE number IS NOT NULL",
    "CREATE INDEX pushed_requests_by_client ON pushed_requests (client_id)",
    "CREATE INDEX pushed_requests_by_end ON pushed_requests (expires_at)",
    "ALTER TABLE clients ADD COLUMN requires_pushed_requests BIGINT NOT NULL DEFAULT 0",
)
