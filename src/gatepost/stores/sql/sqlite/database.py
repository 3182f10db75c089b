"""`Database` over one SQLite file: one thread that writes with group commit, one that reads.

A commit costs one sync of the disk, which takes longer than all of an operation's SQL. So the writer takes every
operation that has queued up during the last sync, runs each under a savepoint of its own in one transaction, commits
once and only then answers: durable for each, atomic for each, one sync for all. Reads have their own connection: in
WAL mode a reader waits for no writer, and a token check must not wait for the disk.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.sql.database import Operation, T
from gatepost.stores.sql.sqlite.connections import open_reader, open_writer, when_free
from gatepost.stores.sql.sqlite.errors import explained, unavailable
from gatepost.stores.sql.sqlite.files import identity
from gatepost.stores.sql.sqlite.threads import Answer, Answered, DatabaseThread, Failed
from gatepost.stores.sql.sqlite.transaction import SqliteTransaction, run_to_end

_LONGEST_ATTEMPT: Final = 0.5
"""Seconds for which a batch waits for another process's lock before each caller is asked whether it still waits."""


class SqliteDatabase:
    """One file. `busy_timeout` is for how many seconds another process's lock is waited for where nobody says."""

    is_lost_at_exit: Final = False

    def __init__(self, path: Path, *, busy_timeout: float) -> None:
        self.description = str(path.absolute())
        self._path = path
        self.busy_timeout = busy_timeout
        self._attempt = min(busy_timeout, _LONGEST_ATTEMPT)
        self._identity = (0, 0)
        self._writer = DatabaseThread(
            "gatepost-store-writer",
            connect=partial(open_writer, path, busy_timeout=busy_timeout),
            run_batch=self._run_writes,
        )
        self._reader = DatabaseThread(
            "gatepost-store-reader",
            connect=partial(open_reader, path, busy_timeout=self._attempt),
            run_batch=self._run_reads,
        )

    async def open(self) -> None:
        await self._writer.start()
        try:
            await self._reader.start()
        except BaseException:
            await self._writer.stop()
            raise
        self._identity = identity(self._path)

    async def close(self) -> None:
        # The writer goes last: closing the last connection folds the log back into the file.
        await self._reader.stop()
        await self._writer.stop()

    def read(self, operation: Operation[T]) -> Coroutine[Any, Any, T]:
        return self._reader.ask(operation)

    def write(self, operation: Operation[T]) -> Coroutine[Any, Any, T]:
        return self._writer.ask(operation)

    async def check(self) -> None:
        # SQLite goes on writing to a file that has lost its name, and after a restart nothing of it would be there.
        if identity(self._path) != self._identity:
            raise StoreUnavailable(f"the store {self._path} has been removed or replaced: restart Gatepost")

    def _run_writes(self, connection: sqlite3.Connection, operations: Sequence[Operation[Any]]) -> Sequence[Answer]:
        try:
            when_free(partial(connection.execute, "BEGIN IMMEDIATE"), busy_timeout=self._attempt)
            answers = [self._run_one_write(connection, operation) for operation in operations]
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001  the thread has to live on, and every caller has to hear
            _roll_back(connection)
            # One exception each: raising the same object in several tasks would mix up their tracebacks.
            return [Failed(unavailable(error, self._path)) for _ in operations]
        return answers

    def _run_one_write(self, connection: sqlite3.Connection, operation: Operation[Any]) -> Answer:
        connection.execute("SAVEPOINT operation")
        try:
            answer: Answer = Answered(run_to_end(operation(SqliteTransaction(connection))))
        except Exception as error:
            # Some faults (full disk, I/O) make SQLite give up the whole transaction, the other operations included.
            if not connection.in_transaction:
                raise
            connection.execute("ROLLBACK TO operation")
            answer = Failed(explained(error, self._path))
        connection.execute("RELEASE operation")
        return answer

    def _run_reads(self, connection: sqlite3.Connection, operations: Sequence[Operation[Any]]) -> Sequence[Answer]:
        # One snapshot for the batch. The first statement that reads takes it, which is after every caller asked: what
        # was answered as durable before a caller asked is in it. Nothing is read if an older one were still open.
        try:
            connection.execute("BEGIN")
        except Exception as error:  # noqa: BLE001  the thread has to live on, and every caller has to hear
            _roll_back(connection)
            return [Failed(unavailable(error, self._path)) for _ in operations]
        answers = [self._run_one_read(connection, operation) for operation in operations]
        _roll_back(connection)
        return answers

    def _run_one_read(self, connection: sqlite3.Connection, operation: Operation[Any]) -> Answer:
        try:
            if not connection.in_transaction:
                connection.execute("BEGIN")
            return Answered(run_to_end(operation(SqliteTransaction(connection))))
        except Exception as error:  # noqa: BLE001  the thread has to live on
            # The reads behind this one begin anew, whatever state the fault has left.
            _roll_back(connection)
            return Failed(explained(error, self._path))


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
