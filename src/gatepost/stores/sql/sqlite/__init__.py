"""SQLite: `Database` over a file, with a thread that writes and one that reads, and over memory.

Owns: connections, files, threads, group commit, and what SQLite's errors mean.
Depends on: `stores.sql`, `stores.contract`, the standard library's `sqlite3`.
"""

from __future__ import annotations

from pathlib import Path

from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite.database import SqliteDatabase
from gatepost.stores.sql.sqlite.memory import MemoryDatabase
from gatepost.stores.sql.store import sql_store


def file_store(path: Path, *, busy_timeout: float = 5.0) -> Store:
    """Return the store in one file, shared by any number of processes of this machine; not open yet.

    Args:
        path: The file; created with its directory when missing. Local disk only: SQLite's locks do not work on network
            file systems.
        busy_timeout: For how many seconds a write waits for other processes' writes before it is `StoreBusy`, where its
            caller has not said how long it waits (`stores.contract.busy`).
    """
    return sql_store(SqliteDatabase(path, busy_timeout=busy_timeout))


def memory_store() -> Store:
    """Return a store in the memory of this process, which lasts as long as it is held. It can be used at once."""
    return sql_store(MemoryDatabase())
