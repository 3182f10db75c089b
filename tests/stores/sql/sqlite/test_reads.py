"""SQLite: reads that share a snapshot."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest

from gatepost.oauth.records import Client
from gatepost.stores.conformance.records import NOW, client, fp
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.mcp import McpSession
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.database import Transaction
from gatepost.stores.sql.sqlite.database import SqliteDatabase
from tests.patience import PATIENCE


@asynccontextmanager
async def reader_held(database: SqliteDatabase) -> AsyncIterator[None]:
    """Hold the reader, with its snapshot open, so that what is asked meanwhile is one batch."""
    held, release = threading.Event(), threading.Event()

    async def hold(transaction: Transaction) -> None:
        await transaction.all("SELECT * FROM clients")
        held.set()
        assert release.wait(PATIENCE)

    holding = asyncio.ensure_future(database.read(hold))
    assert await asyncio.to_thread(held.wait, PATIENCE)
    try:
        yield
    finally:
        release.set()
        await holding


async def ask_together(database: SqliteDatabase, *calls: Awaitable[Any]) -> list[Any]:
    """Have the reader answer all calls in one batch."""
    async with reader_held(database):
        asked = [asyncio.ensure_future(call) for call in calls]
        await asyncio.sleep(0)
    return await asyncio.gather(*asked, return_exceptions=True)


async def test_a_batch_sees_what_was_durable_when_it_was_asked(
    sqlite_store: Store, sqlite_database: SqliteDatabase
) -> None:
    """The snapshot of the batch before is older."""
    async with reader_held(sqlite_database):
        await sqlite_store.clients.register_client(client())
        asked = asyncio.ensure_future(sqlite_store.clients.find_client("client-1"))
        await asyncio.sleep(0)

    assert await asked == client()


async def test_a_read_that_fails_costs_its_neighbours_nothing(
    sqlite_store: Store, sqlite_database: SqliteDatabase
) -> None:
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
    read = sqlite_database.read

    results = await ask_together(
        sqlite_database,
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


async def test_who_waits_for_an_answer_holds_up_nobody_who_writes_and_is_held_up_by_none(
    sqlite_store: Store,
) -> None:
    session = McpSession(fp("session"), "owner", "2025-11-25", b"{}", NOW, NOW + 60)
    await sqlite_store.mcp_sessions.start_session(session, most=9, makes_room=True)
    await sqlite_store.mcp_client_requests.open(fp("session"), "q", expires_at=NOW + 60)
    with closing(sqlite3.connect(sqlite_store.description, isolation_level=None)) as another_process:
        another_process.execute("BEGIN IMMEDIATE")
        assert await sqlite_store.mcp_client_requests.find_response(fp("session"), "q") is None
        with pytest.raises(StoreUnavailable):
            await sqlite_store.mcp_client_requests.respond(fp("session"), "q", b"{}", now=NOW)
        another_process.execute("ROLLBACK")
    assert await sqlite_store.mcp_client_requests.respond(fp("session"), "q", b"{}", now=NOW)
    assert await sqlite_store.mcp_client_requests.find_response(fp("session"), "q") == b"{}"
