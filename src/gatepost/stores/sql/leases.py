"""Leases in SQL."""

from __future__ import annotations

from typing import Final

from gatepost.stores.sql.database import Operations, Transaction, write

_TAKE: Final = """
    INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, $4)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
    WHERE leases.holder = excluded.holder OR leases.expires_at <= $3 OR leases.expires_at > $5
"""


class SqlLeaseStore(Operations):
    """`LeaseStore` over a database."""

    @write
    async def take_lease(self, transaction: Transaction, name: str, *, holder: str, now: int, until: int) -> bool:
        # Nobody takes a lease for that long: the clock of whoever holds it is ahead.
        ahead = until + (until - now)
        return await transaction.run(_TAKE, name, holder, now, until, ahead) > 0

    @write
    async def return_lease(self, transaction: Transaction, name: str, *, holder: str) -> None:
        await transaction.run("DELETE FROM leases WHERE name = $1 AND holder = $2", name, holder)
