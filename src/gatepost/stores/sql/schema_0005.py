"""Schema version 5: keys, origin, management and disabling of clients; the assertions they have used."""

from __future__ import annotations

from typing import Final

STATEMENTS: Final = (
    "ALTER TABLE clients ADD COLUMN jwks TEXT",
    "ALTER TABLE clients ADD COLUMN jwks_uri TEXT",
    # Until now every client had registered itself.
    "ALTER TABLE clients ADD COLUMN origin TEXT NOT NULL DEFAULT 'dynamic'",
    "ALTER TABLE clients ADD COLUMN registration_token_fingerprint BYTEA",
    "ALTER TABLE clients ADD COLUMN disabled_at BIGINT",
    "CREATE INDEX clients_by_origin_and_age ON clients (origin, created_at)",
    "CREATE INDEX authorization_transactions_by_client ON authorization_transactions (client_id)",
    """
    CREATE TABLE client_assertions (
        assertion_fingerprint BYTEA NOT NULL PRIMARY KEY,
        expires_at BIGINT NOT NULL
    )
    """,
    "CREATE INDEX client_assertions_by_end ON client_assertions (expires_at)",
)
