"""`Transaction` over one of asyncpg's connections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gatepost.stores.contract.wakeups import Wakeup
from gatepost.stores.sql.database import Row, Value
from gatepost.stores.sql.postgresql.notifications import notifying

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy


class PostgresqlTransaction:
    """The transaction that is open on a connection.

    Args:
        connection: where it is open.
        origin: names the store in this process to others.
        keeping: what makes its commit outlive a crash (`durability.keeping`).
    """

    def __init__(self, connection: PoolConnectionProxy, *, origin: str = "", keeping: str = "") -> None:
        self._connection = connection
        self._origin, self._keeping = origin, keeping
        self._wakeups: dict[Wakeup, None] = {}

    async def one(self, sql: str, *parameters: Value) -> Row | None:
        row: Row | None = await self._connection.fetchrow(sql, *parameters)
        return row

    async def all(self, sql: str, *parameters: Value) -> Sequence[Row]:
        rows: Sequence[Row] = await self._connection.fetch(sql, *parameters)
        return rows

    async def run(self, sql: str, *parameters: Value) -> int:
        status: str = await self._connection.execute(sql, *parameters)
        # A command tag: "UPDATE 3", "INSERT 0 1", "CREATE TABLE" (PostgreSQL section 55.7, CommandComplete).
        count = status.rpartition(" ")[2]
        return int(count) if count.isdecimal() else -1

    async def notify(self, wakeup: Wakeup) -> None:
        self._wakeups[wakeup] = None

    @property
    def commit(self) -> str:
        """What commits it, and with that wakes others: one message, whatever there is to tell.

        Without a time limit of the database's: one that ends while a commit waits for a synchronous standby makes the
        database say that it is done, though the standby has nothing of it (PostgreSQL section 27.2.8.3).
        """
        return notifying(self._wakeups, self._origin) + self._keeping + "SET LOCAL statement_timeout = 0; COMMIT"


class OneStatement:
    """A transaction that is one statement, which needs no BEGIN and no COMMIT: one round trip.

    A second statement would see another snapshot, so it is refused, and the operation begins anew in a transaction.
    `writes` says whether the statement may write.
    """

    def __init__(self, connection: PoolConnectionProxy, *, writes: bool = False) -> None:
        self._transaction = PostgresqlTransaction(connection)
        self._is_used, self._writes = False, writes

    async def one(self, sql: str, *parameters: Value) -> Row | None:
        self._use()
        return await self._transaction.one(sql, *parameters)

    async def all(self, sql: str, *parameters: Value) -> Sequence[Row]:
        self._use()
        return await self._transaction.all(sql, *parameters)

    async def run(self, sql: str, *parameters: Value) -> int:
        if not self._writes:
            raise TypeError("a read writes nothing")
        self._use()
        return await self._transaction.run(sql, *parameters)

    async def notify(self, wakeup: Wakeup) -> None:
        del wakeup
        raise TypeError("a read has nothing to tell")

    def _use(self) -> None:
        if self._is_used:
            raise SecondStatement
        self._is_used = True


class SecondStatement(Exception):
    """A read is more than one statement."""
