"""SQLite in memory: ready at once, gone with the object that holds it, and never on disk."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gatepost.stores.conformance.records import NOW, approve, client, find_grant, fp, grant, tokens
from gatepost.stores.sql.database import Transaction
from gatepost.stores.sql.sqlite import memory_store
from gatepost.stores.sql.sqlite.memory import MemoryDatabase

NUMBERS = "RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)"


async def test_it_is_ready_before_it_is_opened_and_after_it_was_closed() -> None:
    """A store is handed from one app to the next."""
    store = memory_store()
    await store.clients.register_client(client())
    await store.open()
    await store.close()

    assert await store.clients.find_client("client-1") == client()
    await store.check()


async def test_each_one_is_its_own() -> None:
    one, other = memory_store(), memory_store()
    await one.clients.register_client(client())

    assert await other.clients.find_client("client-1") is None


async def test_an_operation_that_raises_is_undone() -> None:
    async def fail_half_way(transaction: Transaction) -> None:
        await transaction.run("DELETE FROM setup_link")
        raise LookupError("no")

    database = MemoryDatabase()
    await database.write(lambda transaction: transaction.run("INSERT INTO setup_link VALUES (1, $1, $2)", b"a", 1))
    with pytest.raises(LookupError):
        await database.write(fail_half_way)

    assert len(await database.read(lambda transaction: transaction.all("SELECT * FROM setup_link"))) == 1


async def test_a_mistake_of_ours_is_undone_too() -> None:
    store = memory_store()
    await approve(store)

    with pytest.raises(sqlite3.IntegrityError):
        await store.grants.redeem_code(fp("code-1"), grant(), tokens("1", "no grant"), now=NOW)

    assert await find_grant(store, "grant-1") is None
    found = await store.grants.find_code(fp("code-1"), now=NOW)
    assert found is not None
    assert found.grant_id is None


def test_event_loops_of_several_threads_share_it() -> None:
    store = memory_store()

    def register(number: int) -> None:
        asyncio.run(store.clients.register_client(client(f"client-{number}")))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(register, range(64)))

    assert len(asyncio.run(store.clients.list_clients())) == 64


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
async def test_nothing_of_it_is_in_a_file() -> None:
    """Not even of what SQLite sorts, which it would put into a temporary file when it is large."""
    before = open_files()
    database = MemoryDatabase()
    seen = set(before)

    async def sort_much(transaction: Transaction) -> None:
        await transaction.run(f"INSERT INTO leases WITH {NUMBERS} SELECT hex(randomblob(1000)), '', i FROM n", 8000)  # noqa: S608 - our own words
        database._connection.set_progress_handler(lambda: seen.update(open_files()), 10_000)
        assert len(await transaction.all("SELECT name FROM leases ORDER BY name || holder")) == 8000

    await database.write(sort_much)
    assert seen == before


async def test_it_is_gone_when_nobody_holds_it() -> None:
    database = MemoryDatabase()
    gone = weakref.ref(database)
    connection = database._connection
    del database
    gc.collect()

    assert gone() is None
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def open_files() -> set[str]:
    """Return the files that this process has open, those without a name too."""
    files: set[str] = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            files.add(str(descriptor.readlink()))
        except OSError:  # the one that listed the directory
            continue
    return {file for file in files if file.startswith("/") and not file.startswith(("/dev", "/proc"))}
