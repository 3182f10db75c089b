"""Opening SQLite connections: settings, write-ahead log, schema."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from gatepost.stores.contract.errors import StoreMisconfigured
from gatepost.stores.sql.database import T
from gatepost.stores.sql.schema.migrations import migrate
from gatepost.stores.sql.sqlite.errors import explained, is_busy, is_not_a_database
from gatepost.stores.sql.sqlite.files import prepare_file
from gatepost.stores.sql.sqlite.transaction import SqliteTransaction, run_to_end

_OLDEST_SQLITE: Final = (3, 24, 0)  # the first with ON CONFLICT … DO UPDATE
TYPE_NAMES: Final = {"BYTEA": "BLOB"}
_LARGEST_KEPT_LOG: Final = 64 * 1024 * 1024  # bytes; what a burst has grown the log to is given back at a checkpoint
_PAUSE_WHEN_BUSY: Final = 0.001  # seconds


def open_writer(path: Path, *, busy_timeout: float) -> sqlite3.Connection:
    """Create or open the database, bring its schema up to date and return the connection that writes.

    Raises:
        StoreMisconfigured: the path, the file or its schema version cannot be used.
        StoreUnavailable: it is locked, or the disk fails.
    """
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StoreMisconfigured(
            f"SQLite {sqlite3.sqlite_version} is too old: Gatepost needs {'.'.join(map(str, _OLDEST_SQLITE))} or newer"
        )
    prepare_file(path)
    with faults_explained(path), contextlib.ExitStack() as undo:
        connection = connect(path, timeout=0)
        undo.callback(connection.close)
        when_free(partial(_prepare_writer, connection, path), busy_timeout=busy_timeout)
        undo.pop_all()
    return connection


def open_reader(path: Path, *, busy_timeout: float, check_same_thread: bool = True) -> sqlite3.Connection:
    """Return a connection that cannot write. Raises `StoreUnavailable`."""
    with faults_explained(path):
        connection = connect(path, timeout=busy_timeout, check_same_thread=check_same_thread)
        connection.execute("PRAGMA query_only = ON")
        # The first read opens the log by its name, which must not happen once another file has that name.
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    return connection


def when_free(action: Callable[[], T], *, busy_timeout: float) -> T:
    """Do what needs a lock, trying again while another connection holds it.

    SQLite can wait by itself, but not for the switch to WAL, and for the rest it backs off to a tenth of a second
    between two looks; a process that writes without a pause hardly ever lets go for that long, so others would starve.

    Raises:
        sqlite3.OperationalError: SQLITE_BUSY, when `busy_timeout` seconds have not been enough; or any other fault.
    """
    deadline = time.monotonic() + busy_timeout
    while True:
        try:
            return action()
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() >= deadline:
                raise
        time.sleep(_PAUSE_WHEN_BUSY)


def connect(place: Path | str, *, timeout: float, check_same_thread: bool = True) -> sqlite3.Connection:
    """Return a connection that begins and ends transactions only where it is told to.

    `place` is a path, or a URI (sqlite.org/uri.html) such as `file:///data/gatepost.db?mode=ro`.
    """
    is_uri = isinstance(place, str) and place.startswith("file:")
    connection = sqlite3.connect(
        place,
        timeout=timeout,
        isolation_level=None,
        cached_statements=256,
        check_same_thread=check_same_thread,
        uri=is_uri,
    )
    connection.row_factory = sqlite3.Row
    # A file from elsewhere may hold views and triggers; nothing in them gets to call functions.
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


@contextlib.contextmanager
def faults_explained(path: Path) -> Iterator[None]:
    """Turn what the database at `path` raises into errors of the contract."""
    try:
        yield
    except sqlite3.Error as error:
        if is_not_a_database(error):
            raise StoreMisconfigured(f"the store's path {path} holds something else than a database") from error
        raise explained(error, path) from error


def _prepare_writer(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    # FULL syncs the log at every commit: what was acknowledged survives a power cut, not only a crash.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {_LARGEST_KEPT_LOG}")
    # The file remembers this one. Processes that start at once on a fresh file meet here and wait for each other.
    if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise StoreMisconfigured(
            f"the file system of {path} cannot share memory between processes, which SQLite's write-ahead log needs: "
            "put the store on a local disk"
        )
    connection.execute("BEGIN IMMEDIATE")
    refuse_foreign_database(connection, path)
    run_to_end(migrate(SqliteTransaction(connection), type_names=TYPE_NAMES))
    connection.execute("COMMIT")


def refuse_foreign_database(connection: sqlite3.Connection, path: Path) -> None:
    """Leave a database alone that some other program has made."""
    tables = {row["name"] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and "schema_version" not in tables:
        raise StoreMisconfigured(f"the database {path} belongs to another program: name another file")
