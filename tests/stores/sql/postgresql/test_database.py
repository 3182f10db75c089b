"""What only PostgreSQL does: transactions in each other's way, connections that die, servers that are gone."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from gatepost.stores.conformance.records import client
from gatepost.stores.contract.errors import StoreBusy, StoreMisconfigured, StoreUnavailable
from gatepost.stores.sql.database import StoreCall, Transaction
from gatepost.stores.sql.postgresql import postgresql_store
from gatepost.stores.sql.postgresql.database import PostgresqlDatabase
from tests.stores import postgresql_server

PROBE = "INSERT INTO store_probe (slot, written) VALUES (1, 0)"
WRITTEN = "SELECT written FROM store_probe WHERE slot = 1"
END_CONNECTION = "SELECT pg_terminate_backend(pg_backend_pid())"


@pytest.fixture
async def database(postgresql_url: str) -> AsyncIterator[PostgresqlDatabase]:
    """An open database without rows but for a counter at 0."""
    opened = PostgresqlDatabase(postgresql_url, busy_timeout=5)
    await opened.open()
    await postgresql_server.empty(postgresql_url)
    await opened.write(lambda transaction: transaction.run(PROBE))
    yield opened
    await opened.close()


async def written(database: PostgresqlDatabase) -> int:
    row = await database.read(lambda transaction: transaction.one(WRITTEN))
    assert row is not None
    count: int = row["written"]
    return count


async def add_one(transaction: Transaction) -> int:
    """Read and write in two steps, as no operation does: only a serializable transaction keeps that right."""
    row = await transaction.one(WRITTEN)
    assert row is not None
    await transaction.run("UPDATE store_probe SET written = $1 WHERE slot = 1", row["written"] + 1)
    return 1


async def test_transactions_in_each_others_way_are_repeated_until_each_has_happened_once(
    database: PostgresqlDatabase,
) -> None:
    assert sum(await asyncio.gather(*(database.write(add_one) for _ in range(20)))) == 20
    assert await written(database) == 20


async def test_a_connection_that_dies_before_the_commit_has_done_nothing_and_that_is_known(
    database: PostgresqlDatabase,
) -> None:
    async def die(transaction: Transaction) -> None:
        await add_one(transaction)
        await transaction.one(END_CONNECTION)

    with pytest.raises(StoreBusy, match="cannot be reached"):
        await database.write(die)
    assert await written(database) == 0


async def test_a_connection_that_dies_in_the_commit_leaves_it_open_and_nothing_is_repeated(
    database: PostgresqlDatabase, postgresql_url: str
) -> None:
    postgresql_server.execute(
        "CREATE OR REPLACE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$",
        "CREATE CONSTRAINT TRIGGER dies AFTER UPDATE ON store_probe DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION die()",
        url=postgresql_url,
    )
    attempts: list[int] = []

    async def counted(transaction: Transaction) -> int:
        attempts.append(1)
        return await add_one(transaction)

    try:
        with pytest.raises(StoreUnavailable) as fault:
            await database.write(counted)
    finally:
        postgresql_server.execute("DROP FUNCTION die CASCADE", url=postgresql_url)
    assert not isinstance(fault.value, StoreBusy)
    assert attempts == [1]
    assert await database.write(add_one) == 1


async def test_operations_go_on_when_every_connection_has_been_ended(database: PostgresqlDatabase) -> None:
    store = postgresql_store(database._url)
    await store.open()
    await store.clients.register_client(client())
    await database.write(
        lambda transaction: transaction.all(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database() AND query LIKE '%clients%'"
        )
    )
    assert await store.clients.find_client("client-1") == client()
    await store.check()
    await store.close()


class Reads:
    """Reads of one statement and of two, which say whether they are in a transaction of several statements."""

    QUERY = "SELECT (current_setting('transaction_isolation') = 'read committed')::int AS is_alone"

    async def one(self, transaction: Transaction) -> int:
        row = await transaction.one(self.QUERY)
        assert row is not None
        is_alone: int = row["is_alone"]
        return is_alone

    async def two(self, transaction: Transaction) -> int:
        return await self.one(transaction) + await self.one(transaction)


async def test_a_read_of_one_statement_is_one_round_trip_and_a_longer_one_sees_one_snapshot(
    database: PostgresqlDatabase,
) -> None:
    reads = Reads()
    for _ in range(2):
        assert await database.read(StoreCall(Reads.one, reads, (), {})) == 1
        assert await database.read(StoreCall(Reads.two, reads, (), {})) == 0


async def test_a_read_writes_nothing(database: PostgresqlDatabase) -> None:
    async def write(transaction: Transaction) -> int:
        return await transaction.run("UPDATE store_probe SET written = 9")

    class Writes:
        async def run(self, transaction: Transaction) -> int:
            return await write(transaction)

    with pytest.raises(TypeError):
        await database.read(StoreCall(Writes.run, Writes(), (), {}))
    with pytest.raises(StoreBusy, match="read-only"):
        await database.read(write)
    assert await written(database) == 0


async def test_a_caller_that_leaves_loses_the_answer_and_the_operation_happens(database: PostgresqlDatabase) -> None:
    begun = asyncio.Event()

    async def slow(transaction: Transaction) -> None:
        begun.set()
        await add_one(transaction)

    caller = asyncio.create_task(database.write(slow))
    await begun.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await database.close()
    await database.open()
    assert await written(database) == 1


async def test_what_waits_for_a_connection_when_the_store_is_closed_still_happens(
    database: PostgresqlDatabase,
) -> None:
    async def count(transaction: Transaction) -> int:
        return await transaction.run("UPDATE store_probe SET written = written + 1 WHERE slot = 1")

    callers = [asyncio.create_task(database.write(count)) for _ in range(30)]
    await asyncio.sleep(0)
    await database.close()
    assert await asyncio.gather(*callers) == [1] * 30
    await database.open()
    assert await written(database) == 30


async def test_another_threads_event_loop_may_ask(database: PostgresqlDatabase) -> None:
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(asyncio.run(database.write(add_one))))
    thread.start()
    while thread.is_alive():
        await asyncio.to_thread(thread.join, 0.01)
    assert (answers, await written(database)) == ([1], 1)


async def test_what_fails_in_an_operation_is_undone_and_stays_what_it_is(database: PostgresqlDatabase) -> None:
    async def fail(transaction: Transaction) -> None:
        await add_one(transaction)
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(fail)
    assert await written(database) == 0


async def test_a_closed_store_says_so(database: PostgresqlDatabase) -> None:
    await database.close()
    with pytest.raises(StoreUnavailable, match="the store is closed"):
        await database.write(add_one)


async def test_a_database_that_there_is_not_is_refused_without_the_password(postgresql_url: str) -> None:
    del postgresql_url  # a server is there
    server, _, _ = postgresql_server.SERVER.rpartition("/")
    host = server.rpartition("@")[2].removeprefix("postgresql://")
    name = f"none_{uuid4().hex}"
    store = postgresql_store(f"postgresql://postgres:hush@{host}/{name}")
    with pytest.raises(StoreMisconfigured, match="there is no database of this name") as refused:
        await store.open()
    assert "hush" not in str(refused.value)


async def test_a_server_that_there_is_not_is_a_store_that_cannot_answer() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: whoever connects is refused
        store = postgresql_store(f"postgresql://ada:hush@127.0.0.1:{taken.getsockname()[1]}/notes")
        with pytest.raises(StoreUnavailable, match="cannot be reached") as fault:
            await store.open()
    assert "hush" not in str(fault.value)


async def test_tables_of_another_program_are_left_alone(postgresql_url: str) -> None:
    del postgresql_url  # a server is there
    with postgresql_server.schema(f"gatepost_test_{uuid4().hex}") as url:
        postgresql_server.execute("CREATE TABLE users (id int)", url=url)
        with pytest.raises(StoreMisconfigured, match="tables of another program"):
            await postgresql_store(url).open()
        assert postgresql_server.rows_of(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema()", url=url
        ) == [(1,)]


async def test_without_the_driver_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(StoreMisconfigured, match=r'pip install "gatepost\[postgres\]"'):
        await postgresql_store("postgresql://127.0.0.1/notes").open()


async def test_an_option_that_libpq_does_not_know_how_to_read_is_refused() -> None:
    with pytest.raises((StoreMisconfigured, StoreUnavailable)):
        await postgresql_store("postgresql://127.0.0.1:1/notes?sslmode=perhaps").open()
