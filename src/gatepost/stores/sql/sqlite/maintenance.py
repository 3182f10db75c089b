"""`Maintenance` over a file: one connection, on a thread of its own while it works."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gatepost.stores.contract.errors import StoreMisconfigured, StoreUnavailable
from gatepost.stores.sql.database import Operation, T, Transaction
from gatepost.stores.sql.maintenance import Findings, Shape
from gatepost.stores.sql.sqlite.connections import (
    TYPE_NAMES,
    connect,
    faults_explained,
    refuse_foreign_database,
    when_free,
)
from gatepost.stores.sql.sqlite.errors import explained, is_damage, is_not_a_database
from gatepost.stores.sql.sqlite.files import prepare_file
from gatepost.stores.sql.sqlite.transaction import SqliteTransaction, run_to_end

_WAIT: Final = 5.0  # seconds for another process's lock
_MOST_FINDINGS: Final = 10
_STEPS: Final = 10_000  # of SQLite's virtual machine, between two looks whether the caller has gone


_COLUMNS: Final = "SELECT name, type FROM pragma_table_info($1) ORDER BY cid"
_VALUES: Final[Mapping[str, type[str | int | bytes]]] = {"TEXT": str, "BIGINT": int, "BLOB": bytes}


class SqliteMaintenance:
    """See `Maintenance`.

    Args:
        path: the file.
        may_create: whether an empty one is made where there is none.
    """

    kind: Final = f"SQLite {sqlite3.sqlite_version}"
    type_names: Final = TYPE_NAMES

    def __init__(self, path: Path, *, may_create: bool = False) -> None:
        self._path = path.absolute()
        self.description = str(self._path)
        self._may_create = may_create
        self._connection: sqlite3.Connection | None = None
        self._is_left = threading.Event()

    async def __aenter__(self) -> Self:
        self._connection = await asyncio.to_thread(self._connect)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await asyncio.to_thread(connection.close)

    async def read(self, operation: Operation[T]) -> T:
        return await self._work(partial(self._run, "BEGIN", operation, "ROLLBACK"))

    async def write(self, operation: Operation[T]) -> T:
        def alone() -> T:
            for pragma in ("foreign_keys = ON", "synchronous = FULL"):
                self._open().execute(f"PRAGMA {pragma}")
            return self._run("BEGIN IMMEDIATE", operation, "COMMIT")

        return await self._work(alone)

    async def keep_writers_out(self, transaction: Transaction, tables: Sequence[str]) -> None:
        """Nobody writes beside `BEGIN IMMEDIATE` anyway."""

    async def shape(self, transaction: Transaction) -> Shape:
        made = await transaction.all("SELECT type, name, sql FROM sqlite_master")
        columns = {
            row["name"]: {
                column["name"]: _VALUES.get(column["type"], str)
                for column in await transaction.all(_COLUMNS, row["name"])
            }
            for row in made
            if row["type"] == "table"
        }
        # Those of primary keys and UNIQUE have no text.
        return Shape(columns, frozenset(row["name"] for row in made if row["type"] == "index" and row["sql"]))

    async def size(self) -> int:
        return sum(map(_size_of, (self._path, Path(f"{self._path}-wal"))))

    async def findings(self) -> Findings:
        try:
            said = await self._work(self._integrity)
        except StoreUnavailable as error:
            said = [str(error)]
        return Findings(() if said == ["ok"] else said, ())

    def _integrity(self) -> list[str]:
        rows = self._open().execute(f"PRAGMA integrity_check({_MOST_FINDINGS})").fetchall()
        # Each is a sentence about a page, a row's number or an index.
        return [str(row[0]) for row in rows]

    def _connect(self) -> sqlite3.Connection:
        if self._may_create:
            prepare_file(self._path)
        elif not self._path.is_file():
            raise StoreMisconfigured(f"there is no store at {self._path}")
        with faults_explained(self._path), contextlib.ExitStack() as undo:
            # Used by one thread at a time, but not always the same.
            connection = connect(self._place(), timeout=_WAIT, check_same_thread=False)
            undo.callback(connection.close)
            self._refuse_foreign(connection)
            if self._may_create:
                when_free(lambda: connection.execute("PRAGMA journal_mode = WAL").fetchone(), busy_timeout=_WAIT)
            connection.set_progress_handler(self._is_left.is_set, _STEPS)
            undo.pop_all()
        return connection

    def _place(self) -> Path | str:
        """Return what to open: the file, or its URI where the last connection to close would bring a log into it.

        That is what a server that was killed has left. Where there is no log, a connection that may write leaves none.
        """
        if self._may_create or not _size_of(Path(f"{self._path}-wal")):
            return self._path
        return f"{self._path.as_uri()}?mode=ro"

    def _refuse_foreign(self, connection: sqlite3.Connection) -> None:
        try:
            refuse_foreign_database(connection, self._path)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):  # which `findings` tells
                raise

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreUnavailable("the store is closed")
        return self._connection

    def _run(self, begin: str, operation: Operation[T], end: str) -> T:
        connection = self._open()
        when_free(partial(connection.execute, begin), busy_timeout=_WAIT)
        try:
            result = run_to_end(operation(SqliteTransaction(connection)))
            self._refuse_if_left()
            connection.execute(end)
        except BaseException:
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise
        return result

    def _refuse_if_left(self) -> None:
        """Do not commit what nobody would hear of."""
        if self._is_left.is_set():
            raise StoreUnavailable(f"work on the store {self._path} was left in the middle")

    async def _work(self, work: Callable[[], T]) -> T:
        """Work on a thread, so that an event loop goes on. A caller that is cancelled ends the work first."""
        thread = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(thread)
        except asyncio.CancelledError:
            self._is_left.set()
            with contextlib.suppress(Exception):
                await thread
            self._is_left.clear()
            raise
        except sqlite3.Error as error:
            if is_not_a_database(error):
                raise StoreUnavailable(f"the store {self._path} holds something else than a database") from error
            raise explained(error, self._path) from error


def _size_of(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
