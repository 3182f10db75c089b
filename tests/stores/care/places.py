"""Stores by URL, and what is in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from gatepost.stores.contract.store import Store
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


def rows_of(url: str, query: str) -> Sequence[tuple[Any, ...]]:
    """Return the rows that a query finds, past the store."""
    return places.rows_of(url.removeprefix("sqlite:///"), query)


def run_in(url: str, *statements: str) -> None:
    """Run statements past the store."""
    places.run_in(url.removeprefix("sqlite:///"), *statements)
