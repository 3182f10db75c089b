"""Schema version 3: what the purge finds its rows by, and leases."""

from __future__ import annotations

from typing import Final

STATEMENTS: Final = (
    "CREATE INDEX authorization_transactions_by_end ON authorization_transactions (expires_at)",
    "CREATE INDEX access_tokens_by_end ON access_tokens (expires_at)",
    "CREATE INDEX refresh_tokens_by_end ON refresh_tokens (expires_at)",
    "CREATE INDEX grants_by_end ON grants (expires_at)",
    # Most grants are never revoked.
    "CREATE INDEX grants_by_revocation ON grants (revoked_at) WHERE revoked_at IS NOT NULL",
    "CREATE INDEX browser_sessions_by_end ON browser_sessions (expires_at)",
    "CREATE TABLE leases (name TEXT NOT NULL PRIMARY KEY, holder TEXT NOT NULL, expires_at BIGINT NOT NULL)",
)
