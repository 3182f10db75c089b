"""Access tokens that were given for others (RFC 8693)."""

from __future__ import annotations

from typing import Final

EXCHANGES: Final = (
    # A table of their own: what servers of the version before find among access tokens they take for what its grant
    # says, so a token for one resource would open another one there.
    """
    CREATE TABLE exchanged_tokens (
        token_fingerprint BYTEA NOT NULL PRIMARY KEY,
        grant_id TEXT NOT NULL REFERENCES grants (grant_id) ON DELETE CASCADE,
        client_id TEXT NOT NULL,
        resource TEXT NOT NULL,
        scopes TEXT NOT NULL,
        actors TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        dpop_jkt TEXT
    )
    """,
    "CREATE INDEX exchanged_tokens_by_grant ON exchanged_tokens (grant_id)",
    "CREATE INDEX exchanged_tokens_by_client ON exchanged_tokens (client_id)",
    "CREATE INDEX exchanged_tokens_by_end ON exchanged_tokens (expires_at)",
    # Paths of endpoints, with blanks between them; empty for a client that may not exchange.
    "ALTER TABLE clients ADD COLUMN exchange_from TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE clients ADD COLUMN exchange_to TEXT NOT NULL DEFAULT ''",
)
