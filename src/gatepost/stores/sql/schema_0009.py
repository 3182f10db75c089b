"""Schema version 9: remembered consent, and whether an authorization request was begun by the person."""

from __future__ import annotations

from typing import Final

STATEMENTS: Final = (
    """
    CREATE TABLE consents (
        subject TEXT NOT NULL,
        client_id TEXT NOT NULL,
        redirect_uri TEXT NOT NULL,
        resource TEXT NOT NULL,
        scopes TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        PRIMARY KEY (subject, client_id, resource, redirect_uri)
    )
    """,
    "CREATE INDEX consents_by_end ON consents (expires_at)",
    "ALTER TABLE authorization_transactions ADD COLUMN started_by_user BIGINT NOT NULL DEFAULT 0",
)
