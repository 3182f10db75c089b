"""Which SQLite errors mean that the store cannot answer, in words for people and without data."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from gatepost.stores.contract.errors import StoreBusy, StoreUnavailable

# By primary result code. A code that is missing here (a constraint, bad SQL, misuse) is a mistake in our own code and
# stays what it is, because a 503 would ask clients to try again what can never work.
_SENTENCES: Final = {
    sqlite3.SQLITE_BUSY: "another process has locked it for too long",
    sqlite3.SQLITE_LOCKED: "it is locked",
    sqlite3.SQLITE_PROTOCOL: "another process has locked it for too long",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_PERM: "its permissions do not allow it",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restore a backup",
    sqlite3.SQLITE_NOTADB: "the file is not an SQLite database",
}


def is_busy(error: BaseException) -> bool:
    """Say whether another connection's lock is the cause, so that trying again can help."""
    return _primary_code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PROTOCOL}


def is_not_a_database(error: BaseException) -> bool:
    """Say whether the file holds something else than an SQLite database."""
    return _primary_code(error) == sqlite3.SQLITE_NOTADB


def is_damage(error: BaseException) -> bool:
    """Say whether the file is damaged."""
    return _primary_code(error) == sqlite3.SQLITE_CORRUPT


def explained(error: Exception, path: Path) -> Exception:
    """Return the `StoreUnavailable` that `error` means, with `error` as its cause; any other error as it is."""
    return unavailable(error, path) if _primary_code(error) in _SENTENCES else error


def unavailable(error: Exception, path: Path) -> StoreUnavailable:
    """Return a new `StoreUnavailable` that says what happened to the file at `path`, with `error` as its cause."""
    sentence = _SENTENCES.get(_primary_code(error), "the transaction failed")
    # The driver's own text is left out: the code's name is all that it could add safely.
    name: str = getattr(error, "sqlite_errorname", type(error).__name__)
    fault_type = StoreBusy if is_busy(error) else StoreUnavailable
    fault = fault_type(f"the store {path} cannot answer: {sentence} ({name})")
    fault.__cause__ = error
    return fault


def _primary_code(error: BaseException) -> int:
    """Return the low byte of the result code (the rest says more of the same); 0 when it is no error of SQLite's."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF
