"""Copies of a database: made beside whoever uses it, checked, and put in the place of another."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gatepost.stores.contract.errors import StoreMisconfigured, StoreUnavailable
from gatepost.stores.new_files import new_file, sync
from gatepost.stores.sql.schema.migrations import MIGRATIONS, works_with
from gatepost.stores.sql.sqlite.connections import connect, faults_explained, refuse_foreign_database
from gatepost.stores.sql.sqlite.errors import is_busy
from gatepost.stores.sql.sqlite.transaction import SqliteTransaction, run_to_end

_PAGES_IN_A_STEP: Final = 256
_WAIT: Final = 5.0  # seconds for another process's lock
_ENDS: Final = ("", "-wal", "-shm", "-journal")


def back_up(path: Path, target: Path, *, progress: Callable[[int, int], None]) -> None:
    """Copy the database at `path`, as it is at one moment, to the new file `target`: whole and checked, or not at all.

    It may be in use meanwhile. The copy is one file, with mode 0600, and durable.

    Args:
        path: the database.
        target: where no file is yet.
        progress: is told how many pages of how many are done.

    Raises:
        StoreMisconfigured: there is no database of a version that this Gatepost knows, or `target` cannot be made.
        StoreUnavailable: the database or the copy is damaged, or the disk fails.
    """
    if not path.is_file():
        raise StoreMisconfigured(f"there is no store at {path}")
    with new_file(target, beside=_ENDS[1:]) as draft, contextlib.ExitStack() as open_until_copied:
        with faults_explained(path):
            source = open_until_copied.enter_context(contextlib.closing(connect(path, timeout=_WAIT)))
            _refuse_unknown_version(source, path)
            # One snapshot for all steps: without it, each write of another process would begin the copy anew.
            source.execute("BEGIN")
            source.execute("SELECT 1 FROM sqlite_master").fetchone()
        with faults_explained(target):
            copy = open_until_copied.enter_context(contextlib.closing(connect(draft, timeout=_WAIT)))
            # What is not whole has no name yet, so a single sync at the end will do.
            copy.execute("PRAGMA synchronous = OFF")
            source.backup(copy, pages=_PAGES_IN_A_STEP, progress=lambda _, left, total: progress(total - left, total))
            # The copied header says that there is a log, for which opening it would make files of its own.
            copy.execute("PRAGMA journal_mode = DELETE")
            _refuse_damage(copy, path)


def restore(backup: Path, path: Path, *, progress: Callable[[int, int], None]) -> Path | None:
    """Put a copy of `backup` in the place of the database at `path`, which nobody may have open.

    Return where the database that was there lies now, with its log beside it if it has one; None if there was none.

    Raises:
        StoreMisconfigured: `backup` is no database of a version that this Gatepost knows, or `path` cannot be made.
        StoreUnavailable: the database is in use, `backup` is damaged, or the disk fails.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark = secrets.token_hex(4)
    incoming, aside = path.with_name(f".{path.name}.{mark}"), path.with_name(f"{path.name}.replaced-{mark}")
    back_up(backup, incoming, progress=progress)
    had_one = path.exists()
    try:
        if had_one:
            _refuse_if_in_use(path)
        for end in _ENDS:
            with contextlib.suppress(FileNotFoundError):
                Path(f"{path}{end}").rename(f"{aside}{end}")
        incoming.rename(path)
        sync(path.parent)
    finally:
        incoming.unlink(missing_ok=True)
    return aside if had_one else None


def _refuse_unknown_version(connection: sqlite3.Connection, path: Path) -> None:
    refuse_foreign_database(connection, path)
    try:
        version = connection.execute("SELECT version FROM schema_version").fetchone()["version"]
    except (sqlite3.OperationalError, TypeError):
        raise StoreMisconfigured(f"the database {path} is empty") from None
    if not run_to_end(works_with(SqliteTransaction(connection), len(MIGRATIONS))):
        raise StoreMisconfigured(
            f"the store {path} has schema version {version} and this Gatepost knows versions up to {len(MIGRATIONS)}: "
            "use the Gatepost that made it"
        )


def _refuse_damage(connection: sqlite3.Connection, path: Path) -> None:
    found = [row[0] for row in connection.execute("PRAGMA integrity_check(1)")]
    if found != ["ok"] or connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise StoreUnavailable(f"the store {path} is damaged, and so is the copy, which has been removed")


def _refuse_if_in_use(path: Path) -> None:
    """Leaving the log's mode takes a lock that nobody else's connection allows, and brings the log into the file."""
    try:
        with contextlib.closing(connect(path, timeout=0)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        if is_busy(error):
            raise StoreUnavailable(f"the store {path} is in use: stop Gatepost first") from error
        # It is damaged, or no database: it is put aside as it is.
