"""`LimitStore` where PostgreSQL takes a use by one statement.

It is READ COMMITTED and needs no more: the row that it changes is the only one that it decides on. Where the use is not
allowed, or there are several, the operation in a serializable transaction decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from gatepost.oauth.limits import MICROSECONDS, Use
from gatepost.stores.contract.busy import wait_out
from gatepost.stores.sql.database import Transaction
from gatepost.stores.sql.limits import SqlLimitStore
from gatepost.stores.sql.postgresql.database import PostgresqlDatabase

# `oauth.limits.take`, of a use that is allowed: $2 is the present, $3 by how much a use moves the moment until which
# the allowance is spent, $4 how far away that may be. Each new row takes two with it that say nothing any more.
_TAKE: Final = """
    WITH ended AS (
        DELETE FROM limits WHERE name IN (
            SELECT name FROM limits WHERE spent_until <= $2 AND name <> $1 ORDER BY spent_until LIMIT 2
            FOR UPDATE SKIP LOCKED
        ) AND NOT EXISTS (SELECT 1 FROM limits WHERE name = $1)
    )
    INSERT INTO limits (name, spent_until) VALUES ($1, $2::bigint + $3::bigint)
    ON CONFLICT (name) DO UPDATE SET spent_until = greatest(limits.spent_until, $2) + $3
    WHERE greatest(limits.spent_until, $2) + $3 <= $2::bigint + $4::bigint
"""


class PostgresqlLimitStore(SqlLimitStore):
    """`LimitStore` over a database of PostgreSQL."""

    _database: PostgresqlDatabase

    def __init__(self, database: PostgresqlDatabase) -> None:
        super().__init__(database)

    async def take(self, uses: Sequence[Use], *, now: int) -> int:
        """Take one use by one statement; several, or one that is not allowed, by more."""
        if len(uses) == 1:
            (use,) = uses
            present = now * MICROSECONDS
            values = use.key, present, use.microseconds, use.rate.period * MICROSECONDS

            async def take(transaction: Transaction) -> int:
                return await transaction.run(_TAKE, *values)

            database = self._database
            # At worst it is counted twice.
            alone = partial(database.write_alone, take, is_repeatable=True)
            if await wait_out(alone, busy_timeout=database.busy_timeout):
                return 0
        return await super().take(uses, now=now)
