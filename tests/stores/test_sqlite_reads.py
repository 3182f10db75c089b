"""SQLite: reads that share a snapshot."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

from gatepost.oauth.records import Client
from gatepost.stores.errors import StoreUnavailable
from gatepost.stores.sql import SqliteStore
from gatepost.stores.sql.database import Transaction
from tests.stores.sample_records import client


@asynccontextmanager
async def reader_held(store: SqliteStore) -> AsyncIterator[None]:
    """Hold the reader, with its snapshot open, so that what is asked meanwhile is one batch."""
    held, release = threading.Event(), threading.Event()

    async def hold(transaction: Transaction) -> None:
        await transaction.all("SELECT * FROM clients")
        held.set()
        assert release.wait(10)

    holding = asyncio.ensure_future(store._database.read(hold))
    assert await asyncio.to_thread(held.wait, 10)
    try:
        yield
    finally:
        release.set()
        await holding


async def ask_together(store: SqliteStore, *calls: Awaitable[Any]) -> list[Any]:
    """Have the reader answer all calls in one batch."""
    async with reader_held(store):
        asked = [asyncio.ensure_future(call) for call in calls]
        await asyncio.sleep(0)
    return await asyncio.gather(*asked, return_exceptions=True)


async def test_a_batch_sees_what_was_durable_when_it_was_asked(sqlite_store: SqliteStore) -> None:
    """The snapshot of the batch before is older."""
    async with reader_held(sqlite_store):
        await sqlite_store.clients.register_client(client())
        asked = asyncio.ensure_future(sqlite_store.clients.find_client("client-1"))
        await asyncio.sleep(0)

    assert await asked == client()


async def test_a_read_that_fails_costs_its_neighbours_nothing(sqlite_store: SqliteStore) -> None:
    async def fail(transaction: Transaction) -> None:
        await transaction.all("SELECT * FROM clients")
        raise LookupError("no")

    async def write(transaction: Transaction) -> None:
        await transaction.run("DELETE FROM clients")

    async def lose_the_transaction(transaction: Transaction) -> None:
        await transaction.run("ROLLBACK")
        await transaction.all("SELECT nothing")

    await sqlite_store.clients.register_client(client())
    find = sqlite_store.clients.find_client
    read = sqlite_store._database.read

    results = await ask_together(
        sqlite_store,
        find("client-1"),
        read(fail),
        find("client-1"),
        read(write),
        read(lose_the_transaction),
        find("client-1"),
    )

    assert [type(result) for result in results] == [
        Client,
        LookupError,
        Client,
        StoreUnavailable,
        sqlite3.OperationalError,
        Client,
    ]
    assert [results[0], results[2], results[5]] == [client()] * 3
