"""Limits in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gatepost.oauth.limits import MICROSECONDS, Use, take
from gatepost.stores.sql.database import Database, Transaction

_KEEP: Final = """
    INSERT INTO limits (name, spent_until) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET spent_until = excluded.spent_until
"""

_DELETE: Final = """
    DELETE FROM limits WHERE name IN (SELECT name FROM limits WHERE spent_until <= $1 ORDER BY spent_until LIMIT $2)
"""


class SqlLimitStore:
    """`LimitStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, uses: Sequence[Use], *, now: int) -> int:
        """See `LimitStore.take`."""

        async def operation(transaction: Transaction) -> int:
            kept: dict[str, int] = {}
            wait = new = 0
            for use in uses:
                row = await transaction.one("SELECT spent_until FROM limits WHERE name = $1", use.key)
                taken = take(None if row is None else row["spent_until"], use, now=now)
                kept[use.key] = taken.spent_until
                wait = max(wait, taken.wait)
                new += row is None
            if wait == 0:
                await transaction.run(_DELETE, now * MICROSECONDS, 2 * new)
                for key, spent_until in kept.items():
                    await transaction.run(_KEEP, key, spent_until)
            return wait

        return await self._database.write(operation)

    async def delete_limits(self, *, before: int, limit: int) -> int:
        """See `LimitStore.delete_limits`."""

        async def operation(transaction: Transaction) -> int:
            return await transaction.run(_DELETE, before * MICROSECONDS, limit)

        return await self._database.write(operation)
