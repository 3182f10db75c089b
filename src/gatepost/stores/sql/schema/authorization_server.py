"""The durable truth of the authorization server.

`clients` and `users` are deliberately no foreign keys of `grants`: a grant outlives the removal of either as a record
of what was allowed.
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
        jwks TEXT,
        jwks_uri TEXT,
        registration_token_fingerprint BYTEA,
        created_at BIGINT NOT NULL,
        origin TEXT NOT NULL,
        disabled_at BIGINT,
        number BIGINT
    )
    """,
    "CREATE INDEX clients_by_origin_and_age ON clients (origin, created_at)",
    # Registrations of strangers have a number until they are used.
    "CREATE UNIQUE INDEX clients_by_number ON clients (number) WHERE number IS NOT NULL",
    """
    CREATE TABLE client_assertions (assertion_fingerprint BYTEA NOT NULL PRIMARY KEY, expires_at BIGINT NOT NULL)
    """,
    "CREATE INDEX client_assertions_by_end ON client_assertions (expires_at)",
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
        state TEXT NOT NULL,
        started_by_user BIGINT NOT NULL,
        number BIGINT
    )
    """,
    # Requests have a number until somebody has approved them.
    "CREATE UNIQUE INDEX transactions_by_number ON authorization_transactions (number) WHERE number IS NOT NULL",
    "CREATE INDEX authorization_transactions_by_client ON authorization_transactions (client_id)",
    "CREATE INDEX authorization_transactions_by_end ON authorization_transactions (expires_at)",
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
    "CREATE INDEX grants_by_end ON grants (expires_at)",
    # Most grants are never revoked.
    "CREATE INDEX grants_by_revocation ON grants (revoked_at) WHERE revoked_at IS NOT NULL",
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
    "CREATE INDEX access_tokens_by_end ON access_tokens (expires_at)",
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
    "CREATE INDEX refresh_tokens_by_end ON refresh_tokens (expires_at)",
    # People, whoever vouches for them. A local account's issuer is `local`, and its `external_subject` the subject.
    """
    CREATE TABLE users (
        subject TEXT NOT NULL PRIMARY KEY,
        issuer TEXT NOT NULL,
        external_subject TEXT NOT NULL,
        username TEXT UNIQUE,
        password_hash TEXT,
        display_name TEXT,
        created_at BIGINT NOT NULL,
        disabled_at BIGINT,
        UNIQUE (issuer, external_subject)
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
        provider TEXT,
        authenticated_at BIGINT,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        number BIGINT
    )
    """,
    # Sessions in which nobody is logged in have a number.
    "CREATE UNIQUE INDEX browser_sessions_by_number ON browser_sessions (number) WHERE number IS NOT NULL",
    "CREATE INDEX browser_sessions_by_subject ON browser_sessions (subject)",
    "CREATE INDEX browser_sessions_by_end ON browser_sessions (expires_at)",
    """
    CREATE TABLE pending_logins (
        state_fingerprint BYTEA NOT NULL PRIMARY KEY,
        browser_id TEXT NOT NULL,
        place TEXT NOT NULL,
        sealed_data BYTEA NOT NULL,
        expires_at BIGINT NOT NULL,
        number BIGINT
    )
    """,
    "CREATE UNIQUE INDEX pending_logins_by_number ON pending_logins (number) WHERE number IS NOT NULL",
    "CREATE INDEX pending_logins_by_end ON pending_logins (expires_at)",
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
    "CREATE INDEX consents_by_client ON consents (client_id)",
    "CREATE INDEX consents_by_end ON consents (expires_at)",
    # One row at most: the key is always 1.
    "CREATE TABLE sealing_key (slot BIGINT NOT NULL PRIMARY KEY, key_id TEXT NOT NULL)",
    # A handful of rows: one is added at each rotation.
    """
    CREATE TABLE signing_keys (
        key_id TEXT NOT NULL PRIMARY KEY,
        algorithm TEXT NOT NULL,
        sealed_secret BYTEA NOT NULL,
        created_at BIGINT NOT NULL,
        signs_from BIGINT NOT NULL,
        ends_at BIGINT
    )
    """,
    # An event's id sorts by time, so the key is the only index it needs.
    """
    CREATE TABLE audit_events (
        event_id TEXT NOT NULL PRIMARY KEY,
        at BIGINT NOT NULL,
        event TEXT NOT NULL,
        outcome TEXT NOT NULL,
        reason TEXT,
        subject TEXT,
        client_id TEXT,
        address TEXT,
        grant_id TEXT
    )
    """,
    # What `Store.check` writes; one row.
    "CREATE TABLE store_probe (slot BIGINT NOT NULL PRIMARY KEY, written BIGINT NOT NULL)",
)

PROFILES: Final = (
    "ALTER TABLE users ADD COLUMN profile TEXT",
    # The query of the authorization request, for the login providers that read it.
    "ALTER TABLE authorization_transactions ADD COLUMN query TEXT",
)
"""Version 2."""

ACCOUNT_PAGES: Final = (
    "ALTER TABLE grants ADD COLUMN redirect_uri TEXT",
    "ALTER TABLE browser_sessions ADD COLUMN last_used_at BIGINT",
    # A link for one local account: whose password it sets, or, of an invitation, perhaps which name it is for.
    """
    CREATE TABLE account_links (
        link_fingerprint BYTEA NOT NULL PRIMARY KEY,
        subject TEXT,
        username TEXT,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX account_links_by_subject ON account_links (subject) WHERE subject IS NOT NULL",
    "CREATE UNIQUE INDEX account_links_by_username ON account_links (username) WHERE username IS NOT NULL",
    "CREATE INDEX account_links_by_end ON account_links (expires_at)",
)
"""Version 3."""

ROLES: Final = ("ALTER TABLE users ADD COLUMN roles TEXT NOT NULL DEFAULT ''",)
"""Version 4: the roles that a person was given, separated by spaces."""

UPSTREAM_TOKENS: Final = (
    """
    CREATE TABLE upstream_tokens (
        subject TEXT NOT NULL,
        provider TEXT NOT NULL,
        issuer TEXT NOT NULL,
        external_subject TEXT NOT NULL,
        scopes TEXT NOT NULL,
        sealed_tokens BYTEA NOT NULL,
        version TEXT NOT NULL,
        is_refreshable BIGINT NOT NULL,
        linked_at BIGINT NOT NULL,
        renewed_at BIGINT NOT NULL,
        expires_at BIGINT,
        ends_at BIGINT,
        retry_at BIGINT,
        refresher TEXT,
        refreshing_until BIGINT,
        PRIMARY KEY (subject, provider)
    )
    """,
    "CREATE INDEX upstream_tokens_by_end ON upstream_tokens (ends_at) WHERE ends_at IS NOT NULL",
)
"""Version 5."""

PASSKEYS: Final = (
    # Public keys; how their people are known to authenticators is a random number.
    """
    CREATE TABLE passkeys (
        credential_id BYTEA NOT NULL PRIMARY KEY,
        subject TEXT NOT NULL,
        user_handle BYTEA NOT NULL,
        rp_id TEXT NOT NULL,
        name TEXT NOT NULL,
        public_key BYTEA NOT NULL,
        sign_count BIGINT NOT NULL,
        transports TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        last_used_at BIGINT
    )
    """,
    "CREATE INDEX passkeys_by_subject ON passkeys (subject)",
)
"""Version 6."""

LINKED_LOGINS: Final = (
    # Logins that lead to a person who began with another; one of an issuer at most.
    """
    CREATE TABLE linked_logins (
        issuer TEXT NOT NULL,
        external_subject TEXT NOT NULL,
        subject TEXT NOT NULL REFERENCES users (subject),
        linked_at BIGINT NOT NULL,
        display_name TEXT,
        PRIMARY KEY (issuer, external_subject)
    )
    """,
    "CREATE UNIQUE INDEX linked_logins_by_person ON linked_logins (subject, issuer)",
    "ALTER TABLE users ADD COLUMN profile_issuer TEXT",
    # Which login began a session.
    "ALTER TABLE browser_sessions ADD COLUMN issuer TEXT",
    "ALTER TABLE browser_sessions ADD COLUMN external_subject TEXT",
)
"""Version 7."""

SECOND_STEPS: Final = (
    # The `step_id`, so that a login without a second step need not look for one.
    "ALTER TABLE users ADD COLUMN second_step TEXT",
    """
    CREATE TABLE second_steps (
        subject TEXT NOT NULL PRIMARY KEY,
        step_id TEXT NOT NULL,
        sealed_secret BYTEA NOT NULL,
        last_time_step BIGINT NOT NULL,
        created_at BIGINT NOT NULL
    )
    """,
    # A used one is deleted.
    """
    CREATE TABLE recovery_codes (
        subject TEXT NOT NULL,
        code_fingerprint BYTEA NOT NULL,
        PRIMARY KEY (subject, code_fingerprint)
    )
    """,
)
"""Version 8."""

PROFILE_SUBJECTS: Final = (
    # What the issuer of a linked login that spoke last calls the person.
    "ALTER TABLE users ADD COLUMN profile_subject TEXT",
    """
    UPDATE users SET profile_subject = (
        SELECT linked_logins.external_subject FROM linked_logins
        WHERE linked_logins.subject = users.subject AND linked_logins.issuer = users.profile_issuer
    ) WHERE profile_issuer IS NOT NULL
    """,
)
"""Version 9."""

SECOND_FACTORS: Final = (
    # Who logged in before this showed a password at least; more is not known of them.
    "ALTER TABLE browser_sessions ADD COLUMN has_second_factor BIGINT NOT NULL DEFAULT 0",
    # Who vouches for the account, at a provider that speaks for several issuers.
    "ALTER TABLE upstream_tokens ADD COLUMN login_issuer TEXT",
)
"""Version 13."""

DPOP: Final = (
    # NULL is what older servers write, and means what they know: a bearer token, or one that anybody may redeem.
    "ALTER TABLE access_tokens ADD COLUMN dpop_jkt TEXT",
    "ALTER TABLE refresh_tokens ADD COLUMN dpop_jkt TEXT",
    "ALTER TABLE authorization_transactions ADD COLUMN dpop_jkt TEXT",
    "ALTER TABLE authorization_codes ADD COLUMN dpop_jkt TEXT",
    "ALTER TABLE clients ADD COLUMN dpop_bound_access_tokens BIGINT NOT NULL DEFAULT 0",
)
"""Version 15: the keys that tokens are bound to."""

REFRESH_REUSE: Final = ("ALTER TABLE clients ADD COLUMN refresh_reuse BIGINT",)
"""Version 11: for how many seconds a spent refresh token of this client may still be used."""

DEVICE_AUTHORIZATIONS: Final = (
    """
    CREATE TABLE device_authorizations (
        device_code_fingerprint BYTEA NOT NULL PRIMARY KEY,
        user_code TEXT NOT NULL,
        client_id TEXT NOT NULL,
        scopes TEXT NOT NULL,
        resource TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        poll_interval BIGINT NOT NULL,
        polled_at BIGINT,
        state TEXT NOT NULL,
        subject TEXT,
        grant_id TEXT,
        number BIGINT
    )
    """,
    # Requests have a number until somebody has approved them.
    "CREATE UNIQUE INDEX device_authorizations_by_number ON device_authorizations (number) WHERE number IS NOT NULL",
    "CREATE UNIQUE INDEX device_authorizations_by_user_code ON device_authorizations (user_code)",
    "CREATE INDEX device_authorizations_by_client ON device_authorizations (client_id)",
    "CREATE INDEX device_authorizations_by_subject ON device_authorizations (subject) WHERE subject IS NOT NULL",
    "CREATE INDEX device_authorizations_by_end ON device_authorizations (expires_at)",
    # What a person is asked who has typed a user code.
    "ALTER TABLE authorization_transactions ADD COLUMN device_code_fingerprint BYTEA",
    "ALTER TABLE authorization_transactions ADD COLUMN user_code TEXT",
)
"""Requests of devices (RFC 8628)."""
