"""`Database` over one SQLite file: one thread that writes with group commit, one that reads; look-ups need neither.

A commit costs one sync of the disk, which takes longer than all of an operation's SQL. So the writer takes every
operation that has queued up during the last sync, runs each wholly or not at all in one transaction, commits
once and only then answers: durable for each, atomic for each, one sync for all. Reads have their own connection: in
WAL mode a reader waits for no writer, and a token check must not wait for the disk. Look-ups have a third, on the
thread that asks.

When nothing is written for a moment, a checkpoint brings the log into the database file, so that a file copied by hand
is nearly whole. docs/decisions/0039-store-files.md says what happens when one of the files is taken away.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.sql.database import ELSEWHERE, Elsewhere, Operation, T
from gatepost.stores.sql.sqlite.connections import open_reader, open_writer, when_free
from gatepost.stores.sql.sqlite.errors import explained, unavailable
from gatepost.stores.sql.sqlite.files import OpenFiles
from gatepost.stores.sql.sqlite.look_ups import LookUps
from gatepost.stores.sql.sqlite.threads import Answer, Answered, DatabaseThread, Failed
from gatepost.stores.sql.sqlite.transaction import SqliteTransaction, run_to_end

_LONGEST_ATTEMPT: Final = 0.5
"""Seconds for which a batch waits for another process's lock before each caller is asked whether it still waits."""

IDLE_SECONDS: Final = 0.5
"""Without a write, until a checkpoint: shorter than the pauses between most probes, each of which writes."""


class _HalfWritten(Exception):
    """An operation failed, which is the cause, behind something that it has written."""


class SqliteDatabase:
    """One file.

    Args:
        path: where it lies.
        busy_timeout: for how many seconds another process's lock is waited for where nobody says.
        idle_seconds: how long nothing has to be written until a checkpoint.
    """

    is_lost_at_exit: Final = False

    def __init__(self, path: Path, *, busy_timeout: float, idle_seconds: float = IDLE_SECONDS) -> None:
        self._path = path.absolute()  # whoever changes the working directory later moves no file
        self.description = str(self._path)
        self.busy_timeout = busy_timeout
        self._attempt = min(busy_timeout, _LONGEST_ATTEMPT)
        self._files = OpenFiles(self._path)
        self._is_checkpointed = False
        self._writer = DatabaseThread(
            "gatepost-store-writer",
            connect=self._open_writer,
            run_batch=self._run_writes,
            idle_seconds=idle_seconds,
            when_idle=self._look_after,
        )
        self._reader = DatabaseThread(
            "gatepost-store-reader",
            connect=self._open_readers,
            run_batch=self._run_reads,
        )
        self._look_ups = LookUps(self._path)

    async def open(self) -> None:
        await self._writer.start()
        try:
            await self._reader.start()
        except BaseException:
            await self._writer.stop()
            raise

    async def close(self) -> None:
        # The writer goes last: closing the last connection brings the log into the file.
        self._look_ups.close()
        await self._reader.stop()
        await self._writer.stop()

    def read(self, operation: Operation[T]) -> Coroutine[Any, Any, T]:
        return self._reader.ask(operation)

    def look_up(self, operation: Operation[T]) -> T | Elsewhere:
        # As for reads: the writer looks at the files twice a second at least.
        return ELSEWHERE if self._files.fault is not None else self._look_ups.run(operation)

    def write(self, operation: Operation[T]) -> Coroutine[Any, Any, T]:
        return self._writer.ask(operation)

    def _open_writer(self) -> sqlite3.Connection:
        connection = open_writer(self._path, busy_timeout=self.busy_timeout)
        # The migration has made the log, and SQLite keeps it until it closes: no other process removes it meanwhile.
        self._files = OpenFiles(self._path)
        return connection

    def _open_readers(self) -> sqlite3.Connection:
        # Here, because each reads the schema, for which the event loop need not wait.
        self._look_ups.open()
        return open_reader(self._path, busy_timeout=self._attempt)

    def _run_writes(self, connection: sqlite3.Connection, operations: Sequence[Operation[Any]]) -> Sequence[Answer]:
        if self._files.fault is not None and (fault := self._files.look()):
            return _refused(operations, fault)
        self._is_checkpointed = False
        try:
            answers = self._run_in_transaction(connection, operations)
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - the thread has to live on, and every caller has to hear
            _roll_back(connection)
            # One exception each: raising the same object in several tasks would mix up their tracebacks.
            return [Failed(unavailable(error, self._path)) for _ in operations]
        # After the commit and before the answer: what is acknowledged lies in files that a restart finds.
        if fault := self._files.look():
            self._checkpoint(connection)
            return _refused(operations, fault)
        return answers

    def _look_after(self, connection: sqlite3.Connection) -> None:
        """Do what can wait until nothing is written."""
        self._files.look()
        if not self._is_checkpointed:
            self._checkpoint(connection)

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        """Bring what lies in the log into the database file, as far as no reader stands in the way; waits for nobody.

        From a log that has lost its name, all that was acknowledged gets into the database file so. But its pages must
        not replace what another process has written through a log of its own.
        """
        if self._files.fault is not None and self._files.have_another_log():
            return
        with contextlib.suppress(sqlite3.Error):  # the next write fails too, and its caller hears why
            busy, logged, done = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            self._is_checkpointed = not busy and logged == done

    def _run_in_transaction(self, connection: sqlite3.Connection, operations: Sequence[Operation[Any]]) -> list[Answer]:
        """Begin a transaction and run operations in it, each wholly or not at all.

        Nearly all succeed, or fail before they have written anything. So they run without savepoints, which would be
        two statements more for each and a copy of every page; where one leaves half of its writes, all begin anew.
        """
        begin = partial(connection.execute, "BEGIN IMMEDIATE")
        when_free(begin, busy_timeout=self._attempt)
        try:
            return [self._run_one_write(connection, operation) for operation in operations]
        except _HalfWritten:
            connection.execute("ROLLBACK")
        when_free(begin, busy_timeout=self._attempt)
        return [self._run_under_savepoint(connection, operation) for operation in operations]

    def _run_one_write(self, connection: sqlite3.Connection, operation: Operation[Any]) -> Answer:
        transaction = SqliteTransaction(connection)
        try:
            return Answered(run_to_end(operation(transaction)))
        except Exception as error:
            # Some faults (full disk, I/O) make SQLite give up the whole transaction, the other operations included.
            if not connection.in_transaction:
                raise
            if transaction.has_written:
                raise _HalfWritten from error
            # A statement that fails has written nothing (sqlite.org/lang_conflict.html, ABORT).
            return Failed(explained(error, self._path))

    def _run_under_savepoint(self, connection: sqlite3.Connection, operation: Operation[Any]) -> Answer:
        connection.execute("SAVEPOINT operation")
        try:
            answer = self._run_one_write(connection, operation)
        except _HalfWritten as half:
            connection.execute("ROLLBACK TO operation")
            answer = Failed(explained(cast("Exception", half.__cause__), self._path))
        connection.execute("RELEASE operation")
        return answer

    def _run_reads(self, connection: sqlite3.Connection, operations: Sequence[Operation[Any]]) -> Sequence[Answer]:
        # One snapshot for the batch. The first statement that reads takes it, which is after every caller asked: what
        # was answered as durable before a caller asked is in it. Nothing is read if an older one were still open.
        # The writer looks at the files twice a second at least; from files that are gone, revocations would be missed.
        if self._files.fault is not None and (fault := self._files.look()):
            return _refused(operations, fault)
        try:
            connection.execute("BEGIN")
        except Exception as error:  # noqa: BLE001 - the thread has to live on, and every caller has to hear
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
        except Exception as error:  # noqa: BLE001 - the thread has to live on
            # The reads behind this one begin anew, whatever state the fault has left.
            _roll_back(connection)
            return Failed(explained(error, self._path))


def _refused(operations: Sequence[Operation[Any]], fault: str) -> Sequence[Answer]:
    return [Failed(StoreUnavailable(fault)) for _ in operations]


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
