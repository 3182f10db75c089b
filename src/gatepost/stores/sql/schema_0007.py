"""Schema version 7: the keys that sign access tokens."""

from __future__ import annotations

from typing import Final

STATEMENTS: Final = (
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
)
