"""Limits in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gatepost.oauth.limits import MICROSECONDS, Use, give_back, take
from gatepost.stores.sql.database import Operations, Transaction, write
from gatepost.stores.sql.rows import delete_ended

_KEEP: Final = """
    INSERT INTO limits (name, spent_until) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET spent_until = excluded.spent_until
"""

_DELETE_ENDED: Final = delete_ended("limits", "name", end="spent_until")


class SqlLimitStore(Operations):
    """`LimitStore` over a database."""

    @write
    async def take(self, transaction: Transaction, uses: Sequence[Use], *, now: int) -> int:
        return await take_uses(transaction, uses, now=now)

    @write
    async def give_back(self, transaction: Transaction, uses: Sequence[Use], *, now: int) -> None:
        for use in uses:
            row = await transaction.one("SELECT spent_until FROM limits WHERE name = $1", use.key)
            if row is not None:
                await transaction.run(_KEEP, use.key, give_back(row["spent_until"], use, now=now))

    @write
    async def delete_limits(self, transaction: Transaction, *, before: int, limit: int) -> int:
        return await transaction.run(_DELETE_ENDED, before * MICROSECONDS, limit)


async def take_uses(transaction: Transaction, uses: Sequence[Use], *, now: int) -> int:
    """Take all of `uses`, or nothing, as `LimitStore.take` does."""
    kept: dict[str, int] = {}
    wait = new = 0
    for use in uses:
        row = await transaction.one("SELECT spent_until FROM limits WHERE name = $1", use.key)
        taken = take(None if row is None else row["spent_until"], use, now=now)
        kept[use.key] = taken.spent_until
        wait = max(wait, taken.wait)
        new += row is None
        if taken.wait and row is not None and row["spent_until"] > taken.spent_until:
            # The clock has stepped back. From here on the period runs, also for those who are refused.
            await transaction.run(_KEEP, use.key, taken.spent_until)
    if wait == 0:
        await transaction.run(_DELETE_ENDED, now * MICROSECONDS, 2 * new)
        for key, spent_until in kept.items():
            await transaction.run(_KEEP, key, spent_until)
    return wait
