"""Deleting what is over, and leases, in SQL.

Each batch finds its rows through an index on their end and deletes them by their key, so it takes the same few
milliseconds however many rows there are.
"""

from __future__ import annotations

from typing import Final

from gatepost.stores.sql.database import Database, Transaction

# The code goes with its request (ON DELETE CASCADE).
_DELETE_TRANSACTIONS: Final = """
    DELETE FROM authorization_transactions WHERE transaction_id IN (
        SELECT transaction_id FROM authorization_transactions
        WHERE expires_at <= $1 AND NOT EXISTS (
            SELECT 1 FROM authorization_codes
            WHERE authorization_codes.transaction_id = authorization_transactions.transaction_id
              AND authorization_codes.expires_at > $1
        )
        ORDER BY expires_at LIMIT $2
    )
"""

_DELETE_ACCESS_TOKENS: Final = """
    DELETE FROM access_tokens WHERE token_fingerprint IN (
        SELECT token_fingerprint FROM access_tokens WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
    )
"""

_DELETE_REFRESH_TOKENS: Final = """
    DELETE FROM refresh_tokens WHERE token_fingerprint IN (
        SELECT token_fingerprint FROM refresh_tokens WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
    )
"""

_DELETE_BROWSER_SESSIONS: Final = """
    DELETE FROM browser_sessions WHERE session_fingerprint IN (
        SELECT session_fingerprint FROM browser_sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
    )
"""

_ENDED_GRANTS: Final = """
    SELECT grant_id FROM grants WHERE expires_at <= $1 OR revoked_at <= $1 LIMIT $2
"""

_DELETE_TOKENS_OF_GRANT: Final = (
    """
    DELETE FROM access_tokens WHERE token_fingerprint IN (
        SELECT token_fingerprint FROM access_tokens WHERE grant_id = $1 LIMIT $2
    )
    """,
    """
    DELETE FROM refresh_tokens WHERE token_fingerprint IN (
        SELECT token_fingerprint FROM refresh_tokens WHERE grant_id = $1 LIMIT $2
    )
    """,
)

_TAKE_LEASE: Final = """
    INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, $4)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
    WHERE leases.holder = excluded.holder OR leases.expires_at <= $3
"""


class SqlExpiryStore:
    """`ExpiryStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def delete_transactions(self, *, before: int, limit: int) -> int:
        """See `ExpiryStore.delete_transactions`."""
        return await self._delete(_DELETE_TRANSACTIONS, before, limit)

    async def delete_access_tokens(self, *, before: int, limit: int) -> int:
        """See `ExpiryStore.delete_access_tokens`."""
        return await self._delete(_DELETE_ACCESS_TOKENS, before, limit)

    async def delete_refresh_tokens(self, *, before: int, limit: int) -> int:
        """See `ExpiryStore.delete_refresh_tokens`."""
        return await self._delete(_DELETE_REFRESH_TOKENS, before, limit)

    async def delete_grants(self, *, before: int, limit: int) -> int:
        """See `ExpiryStore.delete_grants`."""

        async def operation(transaction: Transaction) -> int:
            deleted = 0
            for row in await transaction.all(_ENDED_GRANTS, before, limit):
                for statement in _DELETE_TOKENS_OF_GRANT:
                    deleted += await transaction.run(statement, row["grant_id"], limit - deleted)
                if deleted == limit:
                    break  # some tokens may be left; the next batch goes on with this grant
                deleted += await transaction.run("DELETE FROM grants WHERE grant_id = $1", row["grant_id"])
            return deleted

        return await self._database.write(operation)

    async def delete_browser_sessions(self, *, before: int, limit: int) -> int:
        """See `ExpiryStore.delete_browser_sessions`."""
        return await self._delete(_DELETE_BROWSER_SESSIONS, before, limit)

    async def _delete(self, statement: str, before: int, limit: int) -> int:
        async def operation(transaction: Transaction) -> int:
            return await transaction.run(statement, before, limit)

        return await self._database.write(operation)


class SqlLeaseStore:
    """`LeaseStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take_lease(self, name: str, *, holder: str, now: int, until: int) -> bool:
        """See `LeaseStore.take_lease`."""

        async def operation(transaction: Transaction) -> bool:
            return await transaction.run(_TAKE_LEASE, name, holder, now, until) > 0

        return await self._database.write(operation)

    async def return_lease(self, name: str, *, holder: str) -> None:
        """See `LeaseStore.return_lease`."""

        async def operation(transaction: Transaction) -> None:
            await transaction.run("DELETE FROM leases WHERE name = $1 AND holder = $2", name, holder)

        await self._database.write(operation)
