"""SQLite under faults: full, read-only, locked, damaged; and operations of one batch that go wrong."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gatepost.stores.conformance.records import NOW, approve, client, code, find_grant, fp, grant, redeem, tokens
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.database import Transaction
from gatepost.stores.sql.sqlite import file_store, threads
from gatepost.stores.sql.sqlite.database import SqliteDatabase
from gatepost.stores.sql.sqlite.errors import explained, is_busy
from tests.patience import PATIENCE


async def pragma(database: SqliteDatabase, setting: str) -> None:
    """Change a setting of the connection that writes."""

    async def operation(transaction: Transaction) -> None:
        await transaction.all(f"PRAGMA {setting}")

    await database.write(operation)


def overwrite_pages(path: Path, pages: Iterable[int]) -> None:
    """Damage pages of the file; they are counted from 1."""
    with path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * 4096)
            file.write(b"\xff" * 4096)


async def insert_orphan(transaction: Transaction) -> None:
    """Break a foreign key."""
    await transaction.run(
        "INSERT INTO access_tokens (token_fingerprint, grant_id, scopes, created_at, expires_at) "
        "VALUES ($1, $2, $3, $4, $5)",
        b"orphan",
        "no grant",
        "",
        1,
        2,
    )


async def run_as_one_batch(database: SqliteDatabase, *calls: Awaitable[Any]) -> list[Any]:
    """Hold the writer until all calls have queued up, so that they share a transaction."""
    held, release = threading.Event(), threading.Event()

    async def hold(_transaction: Transaction) -> None:
        held.set()
        assert release.wait(PATIENCE)

    holding = asyncio.ensure_future(database.write(hold))
    assert await asyncio.to_thread(held.wait, PATIENCE)
    waiting = [asyncio.ensure_future(call) for call in calls]
    for _ in range(3):  # a call that starts a task of its own queues up one turn of the loop later
        await asyncio.sleep(0)
    release.set()
    await holding
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_full_disk_is_unavailable_and_writes_nothing(
    sqlite_store: Store, sqlite_database: SqliteDatabase
) -> None:
    await approve(sqlite_store)
    await pragma(sqlite_database, "max_page_count = 1")  # which SQLite takes to mean: as large as it is now
    huge = tokens(grant_id="g" * 200_000)

    with pytest.raises(
        StoreUnavailable, match=r"gatepost\.db cannot answer: the disk is full \(SQLITE_FULL\)"
    ) as fault:
        await sqlite_store.grants.redeem_code(fp("code-1"), grant("g" * 200_000), huge, now=NOW)

    assert "ggg" not in str(fault.value)
    assert await sqlite_store.grants.find_code(fp("code-1"), now=NOW) == code()
    await pragma(sqlite_database, "max_page_count = 1000000")
    await sqlite_store.grants.redeem_code(fp("code-1"), grant("g" * 200_000), huge, now=NOW)
    assert await sqlite_store.grants.find_access_token(fp("access first"), now=NOW) is not None


async def test_a_read_only_store_is_unavailable_for_writes_and_answers_reads(
    sqlite_store: Store, sqlite_database: SqliteDatabase
) -> None:
    await redeem(sqlite_store)
    await pragma(sqlite_database, "query_only = ON")

    with pytest.raises(StoreUnavailable, match=r"it is read-only \(SQLITE_READONLY\)"):
        await sqlite_store.grants.revoke_grant("grant-1", reason="asked", now=NOW)
    with pytest.raises(StoreUnavailable):
        await sqlite_store.check()

    kept = await find_grant(sqlite_store, "grant-1")
    assert kept is not None
    assert kept == grant()


async def test_a_lock_held_too_long_is_unavailable_for_writes_and_answers_reads(sqlite_store: Store) -> None:
    await redeem(sqlite_store)
    with closing(sqlite3.connect(sqlite_store.description, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreUnavailable, match=r"locked it for too long \(SQLITE_BUSY\)"):
            await sqlite_store.grants.revoke_grant("grant-1", reason="asked", now=NOW)
        assert await sqlite_store.grants.find_access_token(fp("access 1"), now=NOW) is not None

        other.execute("ROLLBACK")
    assert await sqlite_store.grants.revoke_grant("grant-1", reason="asked", now=NOW) is True


async def test_a_lock_held_while_opening_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "gatepost.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")

        with pytest.raises(StoreUnavailable, match="locked it for too long"):
            await file_store(path, busy_timeout=0.01).open()


async def test_a_damaged_file_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "gatepost.db"
    store = file_store(path)
    await store.open()
    await redeem(store)
    await store.close()
    overwrite_pages(path, range(2, 10))

    with pytest.raises(StoreUnavailable, match=r"the file is damaged; restore a backup \(SQLITE_CORRUPT"):
        await store.open()


async def test_damage_found_by_a_read_is_unavailable(sqlite_store: Store) -> None:
    await redeem(sqlite_store)
    await sqlite_store.close()
    path = Path(sqlite_store.description)
    with closing(sqlite3.connect(path)) as connection:
        pages = [page for (page,) in connection.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = 'grants'")]
    overwrite_pages(path, pages)
    await sqlite_store.open()

    with pytest.raises(StoreUnavailable, match="the file is damaged"):
        await find_grant(sqlite_store, "grant-1")


async def test_a_failed_commit_fails_every_operation_of_its_batch(
    sqlite_store: Store, sqlite_database: SqliteDatabase
) -> None:
    async def break_the_commit(transaction: Transaction) -> None:
        await transaction.all("PRAGMA defer_foreign_keys = ON")
        await insert_orphan(transaction)

    results = await run_as_one_batch(
        sqlite_database,
        sqlite_store.clients.register_client(client()),
        sqlite_database.write(break_the_commit),
    )

    assert [str(fault) for fault in results] == [
        f"the store {sqlite_store.description} cannot answer: the transaction failed (SQLITE_CONSTRAINT_FOREIGNKEY)"
    ] * 2
    assert all(isinstance(fault, StoreUnavailable) for fault in results)
    assert results[0] is not results[1]
    assert await sqlite_store.clients.find_client("client-1") is None
    await sqlite_store.clients.register_client(client())
    assert await sqlite_store.clients.find_client("client-1") == client()


async def test_an_operation_that_raises_undoes_itself_and_no_other(
    sqlite_store: Store, sqlite_database: SqliteDatabase
) -> None:
    async def fail_half_way(transaction: Transaction) -> None:
        await transaction.run("DELETE FROM clients")
        raise LookupError("no")

    results = await run_as_one_batch(
        sqlite_database,
        sqlite_store.clients.register_client(client("client-1")),
        sqlite_database.write(fail_half_way),
        sqlite_database.write(insert_orphan),
        sqlite_store.clients.register_client(client("client-2")),
    )

    assert [type(result) for result in results] == [int, LookupError, sqlite3.IntegrityError, int]
    for client_id in ("client-1", "client-2"):
        assert await sqlite_store.clients.find_client(client_id) == client(client_id)


async def test_a_fault_that_ends_the_transaction_fails_every_operation_of_its_batch(
    sqlite_store: Store,
    sqlite_database: SqliteDatabase,
) -> None:
    """As SQLite itself does on some disk faults."""

    async def lose_the_transaction(transaction: Transaction) -> None:
        await transaction.run("ROLLBACK")
        await insert_orphan(transaction)

    results = await run_as_one_batch(
        sqlite_database,
        sqlite_store.clients.register_client(client()),
        sqlite_database.write(lose_the_transaction),
    )

    assert [type(result) for result in results] == [StoreUnavailable, StoreUnavailable]
    assert await sqlite_store.clients.find_client("client-1") is None
    await sqlite_store.clients.register_client(client())


async def test_an_operation_may_await_nothing_but_its_transaction(
    sqlite_store: Store, sqlite_database: SqliteDatabase
) -> None:
    async def wander_off(transaction: Transaction) -> None:
        await transaction.all("SELECT * FROM clients")
        await asyncio.sleep(0)

    for run in (sqlite_database.write, sqlite_database.read):
        with pytest.raises(RuntimeError, match="awaited something other than its transaction"):
            await run(wander_off)
    await sqlite_store.check()


async def test_a_mistake_of_ours_is_not_called_unavailable(sqlite_store: Store) -> None:
    """A 503 would ask the client to try again what can never work."""
    await sqlite_store.clients.register_client(client())

    with pytest.raises(sqlite3.IntegrityError):
        await sqlite_store.clients.register_client(client())


async def test_a_cancelled_caller_costs_nobody_else_an_answer(
    sqlite_store: Store, sqlite_database: SqliteDatabase
) -> None:
    async def cancelled() -> None:
        task = asyncio.ensure_future(sqlite_store.clients.register_client(client("client-1")))
        await asyncio.sleep(0)
        task.cancel()
        await task

    results = await run_as_one_batch(
        sqlite_database,
        sqlite_store.clients.register_client(client("client-0")),
        cancelled(),
        sqlite_store.clients.register_client(client("client-2")),
    )

    assert [type(result) for result in results] == [int, asyncio.CancelledError, int]
    # The operation of the cancelled caller has happened all the same, wholly.
    for number in range(3):
        assert await sqlite_store.clients.find_client(f"client-{number}") == client(f"client-{number}")


async def test_reads_do_not_wait_for_a_write_and_do_not_see_it_before_it_is_durable(
    sqlite_store: Store, sqlite_database: SqliteDatabase
) -> None:
    wrote, release = threading.Event(), threading.Event()

    async def write_slowly(transaction: Transaction) -> None:
        await transaction.run("UPDATE grants SET revoked_at = $1", NOW)
        wrote.set()
        assert release.wait(PATIENCE)

    await redeem(sqlite_store)
    writing = asyncio.ensure_future(sqlite_database.write(write_slowly))
    assert await asyncio.to_thread(wrote.wait, PATIENCE)

    before = await sqlite_store.grants.find_access_token(fp("access 1"), now=NOW)
    release.set()
    await writing
    after = await sqlite_store.grants.find_access_token(fp("access 1"), now=NOW)

    assert before is not None
    assert after is not None
    assert (before.grant_revoked, after.grant_revoked) == (False, True)


async def test_too_many_waiting_operations_are_refused_at_once(
    sqlite_store: Store, sqlite_database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "LONGEST_QUEUE", 2)

    results = await run_as_one_batch(
        sqlite_database, *(sqlite_store.clients.register_client(client(f"client-{number}")) for number in range(3))
    )

    assert results[:2] == [0, 0]
    assert str(results[2]) == "the store cannot answer: too many operations are waiting for the disk"
    assert isinstance(results[2], StoreUnavailable)


@pytest.mark.parametrize(
    ("code", "name", "sentence"),
    [
        (sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC", "the disk failed to read or write"),
        (sqlite3.SQLITE_BUSY_RECOVERY, "SQLITE_BUSY_RECOVERY", "another process has locked it for too long"),
        (sqlite3.SQLITE_CANTOPEN, "SQLITE_CANTOPEN", "the file cannot be opened"),
    ],
)
def test_extended_codes_are_explained_by_what_they_extend(code: int, name: str, sentence: str) -> None:
    error = sqlite3.OperationalError("the driver's words, which may hold data")
    error.sqlite_errorcode = code
    error.sqlite_errorname = name

    fault = explained(error, Path("/data/gatepost.db"))

    assert str(fault) == f"the store /data/gatepost.db cannot answer: {sentence} ({name})"
    assert fault.__cause__ is error
    assert is_busy(error) is (sentence == "another process has locked it for too long")
