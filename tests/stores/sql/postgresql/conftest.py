"""A process that hears what another one does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gatepost.stores.contract.store import Store
from gatepost.stores.sql.postgresql import postgresql_store
from tests.stores import postgresql_server
from tests.stores.sql.postgresql.processes import Process, running, store_that_listens_at


@pytest.fixture
async def other(postgresql_url: str) -> AsyncIterator[Store]:
    """The store of another process, which does things."""
    store = postgresql_store(postgresql_url)
    await store.open()
    await postgresql_server.empty(postgresql_url)
    yield store
    await store.close()


@pytest.fixture
async def process(postgresql_url: str, other: Store) -> AsyncIterator[Process]:
    """A process that hears."""
    del other  # the tables are there
    async with running(store_that_listens_at(postgresql_url, postgresql_url)) as process:
        await process.until(lambda: process.gaps == [True])
        yield process
