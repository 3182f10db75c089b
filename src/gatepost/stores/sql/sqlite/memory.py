"""`Database` in the memory of this process: one connection, gone with the object that holds it."""

from __future__ import annotations

import atexit
import functools
import sqlite3
import threading
import weakref
from typing import Final

from gatepost.stores.sql.database import Elsewhere, Operation, T
from gatepost.stores.sql.schema.migrations import migrate
from gatepost.stores.sql.sqlite.connections import TYPE_NAMES, connect
from gatepost.stores.sql.sqlite.transaction import SqliteTransaction, run_to_end

_COPYING: Final = threading.Lock()


@functools.cache
def _empty() -> sqlite3.Connection:
    """Return a database with all tables and no rows, of which each one here begins as a copy.

    To copy it takes a hundredth of the time in which its tables are made; tests open thousands.
    """
    connection = connect(":memory:", timeout=0, check_same_thread=False)
    connection.execute("BEGIN")
    run_to_end(migrate(SqliteTransaction(connection), type_names=TYPE_NAMES))
    connection.execute("COMMIT")
    atexit.register(connection.close)
    return connection


class MemoryDatabase:
    """Runs each operation where it is asked for: without a disk to wait for, a thread would take longer than the SQL.

    It is ready at once and stays so after `close`, as long as it is held, so that a store can be handed from one app to
    the next. Nothing of it is ever on disk.
    """

    description: Final = "memory (lost at exit)"
    is_lost_at_exit: Final = True
    busy_timeout: Final = 0.0

    def __init__(self) -> None:
        self._connection = connect(":memory:", timeout=0, check_same_thread=False)
        weakref.finalize(self, self._connection.close)
        # One operation at a time, whatever event loops of whatever threads ask.
        self._lock = threading.Lock()
        self._connection.execute("PRAGMA foreign_keys = ON")
        # Large sorts would go to a temporary file.
        self._connection.execute("PRAGMA temp_store = MEMORY")
        with _COPYING:
            _empty().backup(self._connection)

    async def open(self) -> None:
        """Nothing to connect."""

    async def close(self) -> None:
        """Nothing to disconnect."""

    async def read(self, operation: Operation[T]) -> T:
        return self._run(operation)

    def look_up(self, operation: Operation[T]) -> T | Elsewhere:
        return self._run(operation)

    async def write(self, operation: Operation[T]) -> T:
        return self._run(operation)

    def _run(self, operation: Operation[T]) -> T:
        with self._lock:
            self._connection.execute("BEGIN")
            try:
                answer = run_to_end(operation(SqliteTransaction(self._connection)))
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        return answer
