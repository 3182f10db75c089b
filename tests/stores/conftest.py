"""One fixture, every backend."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from gatepost.stores.contract.store import Store
from gatepost.stores.sql.postgresql import postgresql_store
from gatepost.stores.sql.sqlite import file_store, memory_store
from gatepost.stores.sql.sqlite.database import SqliteDatabase
from gatepost.stores.sql.store import sql_store
from tests.conftest import RequireService
from tests.stores import postgresql_server

BACKENDS: Final[dict[str, Callable[[Path], Store]]] = {
    "memory": lambda _: memory_store(),
    "sqlite": lambda directory: file_store(directory / "gatepost.db"),
}


@pytest.fixture(scope="session")
def postgresql_url(require_service: RequireService) -> Iterator[str]:
    """The URL of a PostgreSQL store that this process alone uses, with rows of earlier tests in it."""
    require_service("PostgreSQL", available=postgresql_server.is_there())
    with postgresql_server.schema(f"gatepost_test_{os.getpid()}") as url:
        yield url


@pytest.fixture(params=[*BACKENDS, "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An open, empty store of each backend in turn."""
    backend: str = request.param
    if backend == "postgresql":
        url: str = request.getfixturevalue("postgresql_url")
        await postgresql_server.empty(url)
        opened = postgresql_store(url)
    else:
        opened = BACKENDS[backend](tmp_path)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def sqlite_database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    """An open, empty SQLite file that gives up on a lock after a few milliseconds."""
    opened = SqliteDatabase(tmp_path / "gatepost.db", busy_timeout=0.01)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def sqlite_store(sqlite_database: SqliteDatabase) -> Store:
    """The store over `sqlite_database`."""
    return sql_store(sqlite_database)
