"""Schema version 1: clients, transactions, codes, grants, tokens, users, browser sessions.

A migration that has been released is never edited; a change is the next number. Column types are PostgreSQL's; for
SQLite `migrations.py` puts its own name where one differs. Lists are JSON text, scopes are separated by spaces.

`clients` and `users` are deliberately no foreign keys of `grants`: a grant outlives the removal of either as a record
of what was allowed, and a subject need not be a local account.
"""

from __future__ import annotations

from typing import Final

STATEMENTS: Final = (
    """
    CREATE TABLE clients (
        client_id TEXT NOT NULL PRIMARY KEY,
        client_name TEXT NOT NULL,
        redirect_uris TEXT NOT NULL,
        grant_types TEXT NOT NULL,
        response_types TEXT NOT NULL,
        token_endpoint_auth_method TEXT NOT NULL,
        application_type TEXT NOT NULL,
        scope TEXT,
        client_uri TEXT,
        logo_uri TEXT,
        secret_fingerprint BYTEA,
        created_at BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE authorization_transactions (
        transaction_id TEXT NOT NULL PRIMARY KEY,
        browser_id TEXT NOT NULL,
        client_id TEXT NOT NULL,
        redirect_uri TEXT NOT NULL,
        redirect_uri_was_sent BIGINT NOT NULL,
        scopes TEXT NOT NULL,
        resource TEXT NOT NULL,
        code_challenge TEXT NOT NULL,
        client_state TEXT,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        state TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE authorization_codes (
        code_fingerprint BYTEA NOT NULL PRIMARY KEY,
        transaction_id TEXT NOT NULL REFERENCES authorization_transactions (transaction_id) ON DELETE CASCADE,
        client_id TEXT NOT NULL,
        redirect_uri TEXT NOT NULL,
        redirect_uri_was_sent BIGINT NOT NULL,
        scopes TEXT NOT NULL,
        resource TEXT NOT NULL,
        code_challenge TEXT NOT NULL,
        subject TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        failed_attempts BIGINT NOT NULL,
        grant_id TEXT
    )
    """,
    # A transaction has one code at most: approving again replaces it.
    "CREATE UNIQUE INDEX authorization_codes_by_transaction ON authorization_codes (transaction_id)",
    "CREATE INDEX authorization_codes_by_subject ON authorization_codes (subject)",
    """
    CREATE TABLE grants (
        grant_id TEXT NOT NULL PRIMARY KEY,
        subject TEXT NOT NULL,
        client_id TEXT NOT NULL,
        resource TEXT NOT NULL,
        scopes TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        revoked_at BIGINT,
        revoked_reason TEXT
    )
    """,
    "CREATE INDEX grants_by_subject ON grants (subject)",
    "CREATE INDEX grants_by_client ON grants (client_id)",
    """
    CREATE TABLE access_tokens (
        token_fingerprint BYTEA NOT NULL PRIMARY KEY,
        grant_id TEXT NOT NULL REFERENCES grants (grant_id) ON DELETE CASCADE,
        scopes TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL
    )
    """,
    "CREATE INDEX access_tokens_by_grant ON access_tokens (grant_id)",
    """
    CREATE TABLE refresh_tokens (
        token_fingerprint BYTEA NOT NULL PRIMARY KEY,
        grant_id TEXT NOT NULL REFERENCES grants (grant_id) ON DELETE CASCADE,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        spent_at BIGINT,
        successor_fingerprint BYTEA,
        sealed_successor BYTEA
    )
    """,
    "CREATE INDEX refresh_tokens_by_grant ON refresh_tokens (grant_id)",
    """
    CREATE TABLE users (
        subject TEXT NOT NULL PRIMARY KEY,
        username TEXT NOT NULL UNIQUE,
        password_hash TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        disabled_at BIGINT
    )
    """,
    # One row at most: the key is always 1.
    """
    CREATE TABLE setup_link (
        slot BIGINT NOT NULL PRIMARY KEY,
        link_fingerprint BYTEA NOT NULL,
        created_at BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE browser_sessions (
        session_fingerprint BYTEA NOT NULL PRIMARY KEY,
        browser_id TEXT NOT NULL,
        subject TEXT,
        display_name TEXT,
        authenticated_at BIGINT,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL
    )
    """,
    "CREATE INDEX browser_sessions_by_subject ON browser_sessions (subject)",
    # What `Store.check` writes; one row.
    "CREATE TABLE store_probe (slot BIGINT NOT NULL PRIMARY KEY, written BIGINT NOT NULL)",
)
