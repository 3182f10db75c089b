"""Where the store of a test lies: the path of an SQLite file, or the URL of a PostgreSQL database."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from gatepost.stores.contract.store import Store
from gatepost.stores.sql.postgresql import postgresql_store
from gatepost.stores.sql.sqlite import file_store
from tests.stores import postgresql_server


def store_at(place: str) -> Store:
    """Return the store, not open yet."""
    return postgresql_store(place) if "://" in place else file_store(Path(place))


def rows_of(place: str, query: str) -> Sequence[tuple[Any, ...]]:
    """Return the rows that a query finds, past the store."""
    if "://" in place:
        return postgresql_server.rows_of(query, url=place)
    with closing(sqlite3.connect(place)) as connection:
        rows: list[tuple[Any, ...]] = connection.execute(query).fetchall()
        return rows


def run_in(place: str, *statements: str) -> None:
    """Run statements past the store, without looking at foreign keys."""
    if "://" in place:
        postgresql_server.execute("SET session_replication_role = replica", *statements, url=place)
        return
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
