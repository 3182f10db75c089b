"""One fixture, every backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import pytest

from gatepost.stores.contract.store import Store
from gatepost.stores.memory import MemoryStore
from gatepost.stores.sql import SqliteStore

BACKENDS: Final[dict[str, Callable[[Path], Store]]] = {
    "memory": lambda _: MemoryStore(),
    "sqlite": lambda directory: SqliteStore(directory / "gatepost.db"),
}


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An open, empty store of each backend in turn."""
    backend: str = request.param
    opened = BACKENDS[backend](tmp_path)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def sqlite_store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """An open, empty SQLite store that gives up on a lock after a few milliseconds."""
    opened = SqliteStore(tmp_path / "gatepost.db", busy_timeout=0.01)
    await opened.open()
    yield opened
    await opened.close()
