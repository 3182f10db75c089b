"""The assertions that clients have authenticated with, in SQL (RFC 7523)."""

from __future__ import annotations

import hashlib
from typing import Final

from gatepost.stores.sql.database import Operations, Transaction, write
from gatepost.stores.sql.rows import delete_ended

# One statement decides: of any number at once, exactly one changes a row.
_REMEMBER: Final = """
    INSERT INTO client_assertions (assertion_fingerprint, expires_at) VALUES ($1, $2)
    ON CONFLICT (assertion_fingerprint) DO UPDATE SET expires_at = excluded.expires_at
    WHERE client_assertions.expires_at <= $3
"""

_DELETE_ENDED: Final = delete_ended("client_assertions", "assertion_fingerprint")


class SqlAssertionStore(Operations):
    """`AssertionStore` over a database."""

    @write
    async def remember_jti(
        self, transaction: Transaction, client_id: str, jti: str, *, expires_at: int, now: int
    ) -> bool:
        # A fixed length for every row, whatever a client calls its assertions; no client_id holds a NUL.
        fingerprint = hashlib.sha256(f"{client_id}\0{jti}".encode()).digest()
        return await transaction.run(_REMEMBER, fingerprint, expires_at, now) > 0

    @write
    async def forget_jtis(self, transaction: Transaction, *, before: int, limit: int) -> int:
        return await transaction.run(_DELETE_ENDED, before, limit)
