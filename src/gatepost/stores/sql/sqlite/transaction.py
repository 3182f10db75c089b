"""A transaction over one SQLite connection, and the running of a whole operation in it without an event loop."""

from __future__ import annotations

import sqlite3
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from gatepost.stores.sql.database import Row, T, Value

# `$1` is a named parameter for SQLite, and its name is "1".
_NAMES: Final = tuple(str(number) for number in range(1, 33))


class SqliteTransaction:
    """`Transaction` over a connection; none of its methods ever suspends."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def one(self, sql: str, *parameters: Value) -> Row | None:
        """See `Transaction.one`."""
        # All rows are fetched because a statement that has not reached its end keeps its snapshot open.
        rows = self._execute(sql, parameters).fetchall()
        return rows[0] if rows else None

    async def all(self, sql: str, *parameters: Value) -> Sequence[Row]:
        """See `Transaction.all`."""
        return self._execute(sql, parameters).fetchall()

    async def run(self, sql: str, *parameters: Value) -> int:
        """See `Transaction.run`."""
        return self._execute(sql, parameters).rowcount

    def _execute(self, sql: str, parameters: tuple[Value, ...]) -> sqlite3.Cursor:
        return self._connection.execute(sql, dict(zip(_NAMES, parameters, strict=False)))


def run_to_end(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run an operation's coroutine to its end on this thread and return its result.

    Raises:
        RuntimeError: it awaited something other than its transaction, so it cannot be run without an event loop.
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise RuntimeError("a store operation awaited something other than its transaction")
