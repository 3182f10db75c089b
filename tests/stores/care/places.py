"""Stores by URL, and what is in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from gatepost.stores.contract.store import Store
from gatepost.stores.sql.schema.migrations import MIGRATIONS, migrate
from gatepost.stores.urls import locate
from tests.stores.sql import places


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    """Open the store for a while."""
    store = locate(url).make_store()
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def make_older(url: str, version: int) -> None:
    """Make a store of an older version."""
    location = locate(url)
    assert location.maintenance is not None
    async with location.maintenance(True) as maintenance:
        known = MIGRATIONS[:version]
        await maintenance.write(lambda tx: migrate(tx, type_names=maintenance.type_names, migrations=known))


def rows_of(url: str, query: str) -> Sequence[tuple[Any, ...]]:
    """Return the rows that a query finds, past the store."""
    return places.rows_of(url.removeprefix("sqlite:///"), query)


def run_in(url: str, *statements: str) -> None:
    """Run statements past the store."""
    places.run_in(url.removeprefix("sqlite:///"), *statements)
