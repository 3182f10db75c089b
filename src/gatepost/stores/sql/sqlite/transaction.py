"""A transaction over one SQLite connection, and the running of a whole operation in it without an event loop."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Coroutine, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, Final

from gatepost.stores.contract.wakeups import Wakeup
from gatepost.stores.sql.database import Row, T, Value

_PARAMETER: Final = re.compile(r"\$(\d+)")


@cache
def _by_position(sql: str) -> tuple[str, Callable[[tuple[Value, ...]], tuple[Value, ...]] | None]:
    """Return a statement with `?` for `$1`, and what gives the parameter for each; None where they come in order.

    For SQLite `$1` would be a name, and by names each parameter of each statement would be looked up in a dictionary.
    """
    order = [int(number) - 1 for number in _PARAMETER.findall(sql)]
    return _PARAMETER.sub("?", sql), None if order == list(range(len(order))) else itemgetter(*order)


class SqliteTransaction:
    """`Transaction` over a connection; none of its methods ever suspends."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.has_written = False
        """Whether a statement that may write has been executed."""

    async def one(self, sql: str, *parameters: Value) -> Row | None:
        # All rows are fetched because a statement that has not reached its end keeps its snapshot open.
        rows = self._execute(sql, parameters).fetchall()
        return rows[0] if rows else None

    async def all(self, sql: str, *parameters: Value) -> Sequence[Row]:
        return self._execute(sql, parameters).fetchall()

    async def run(self, sql: str, *parameters: Value) -> int:
        count = self._execute(sql, parameters).rowcount
        self.has_written = True
        return count

    async def notify(self, wakeup: Wakeup) -> None:
        """Wake nobody: SQLite tells other processes nothing, and they look by themselves."""

    def _execute(self, sql: str, parameters: tuple[Value, ...]) -> sqlite3.Cursor:
        text, arranged = _by_position(sql)
        return self._connection.execute(text, parameters if arranged is None else arranged(parameters))


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
