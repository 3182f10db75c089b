"""The assertions that clients have authenticated with, in SQL (RFC 7523)."""

from __future__ import annotations

import hashlib
from typing import Final

from gatepost.stores.sql.database import Database, Transaction

# One statement decides: of any number at once, exactly one changes a row.
_REMEMBER: Final = """
    INSERT INTO client_assertions (assertion_fingerprint, expires_at) VALUES ($1, $2)
    ON CONFLICT (assertion_fingerprint) DO UPDATE SET expires_at = excluded.expires_at
    WHERE client_assertions.expires_at <= $3
"""

_FORGET: Final = """
    DELETE FROM client_assertions WHERE assertion_fingerprint IN (
        SELECT assertion_fingerprint FROM client_assertions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
    )
"""


class SqlAssertionStore:
    """`AssertionStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remember_jti(self, client_id: str, jti: str, *, expires_at: int, now: int) -> bool:
        """See `AssertionStore.remember_jti`."""
        # A fixed length for every row, whatever a client calls its assertions; no client_id holds a NUL.
        fingerprint = hashlib.sha256(f"{client_id}\0{jti}".encode()).digest()

        async def operation(transaction: Transaction) -> bool:
            return await transaction.run(_REMEMBER, fingerprint, expires_at, now) > 0

        return await self._database.write(operation)

    async def forget_jtis(self, *, before: int, limit: int) -> int:
        """See `AssertionStore.forget_jtis`."""

        async def operation(transaction: Transaction) -> int:
            return await transaction.run(_FORGET, before, limit)

        return await self._database.write(operation)
