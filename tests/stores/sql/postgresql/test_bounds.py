"""No operation waits for ever: for a lock, a connection, or a server that accepts and never answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from gatepost.stores.contract.errors import StoreBusy, StoreConnectionsTaken, StoreUnavailable
from gatepost.stores.sql.database import StoreCall, Transaction
from gatepost.stores.sql.postgresql.database import LONGEST_ATTEMPT, PostgresqlDatabase
from tests.stores import postgresql_server
from tests.stores.sql.postgresql.wire import Wire

ADD_ONE = "UPDATE store_probe SET written = written + 1 WHERE slot = 1"
WRITTEN = "SELECT written FROM store_probe WHERE slot = 1"
ENOUGH = 5 * LONGEST_ATTEMPT
"""Seconds; what takes longer is not the bound that is meant. Most of them wait for one second."""


class Calls:
    """Operations by name."""

    async def add_one(self, transaction: Transaction) -> int:
        return await transaction.run(ADD_ONE)

    async def look(self, transaction: Transaction) -> int:
        row = await transaction.one(WRITTEN)
        assert row is not None
        written: int = row["written"]
        return written

    async def sleep(self, transaction: Transaction) -> str:
        row = await transaction.one("SELECT pg_sleep(1.3), 'rested' AS so")
        assert row is not None
        so: str = row["so"]
        return so


ADD: StoreCall[int] = StoreCall(Calls.add_one, Calls(), (), {})
LOOK: StoreCall[int] = StoreCall(Calls.look, Calls(), (), {})
SLEEP: StoreCall[str] = StoreCall(Calls.sleep, Calls(), (), {})


@pytest.fixture
async def wire(postgresql_url: str) -> AsyncIterator[Wire]:
    async with Wire(postgresql_url).open() as opened:
        yield opened


@pytest.fixture
async def database(wire: Wire, postgresql_url: str) -> AsyncIterator[PostgresqlDatabase]:
    """An open database of two connections, through a proxy, without rows but for a counter at 0."""
    opened = PostgresqlDatabase(wire.url, busy_timeout=5, connections=2)
    await opened.open()
    await postgresql_server.empty(postgresql_url)
    await opened.write(lambda transaction: transaction.run("INSERT INTO store_probe (slot, written) VALUES (1, 0)"))
    yield opened
    wire.speak()
    await opened.close()


@asynccontextmanager
async def locked(url: str) -> AsyncIterator[None]:
    """Hold the lock of the counter's row in another transaction."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute(ADD_ONE)
            yield
    finally:
        await connection.close()


async def test_a_row_that_another_transaction_holds_is_waited_for_no_longer_than_an_attempt(
    database: PostgresqlDatabase, postgresql_url: str
) -> None:
    async with locked(postgresql_url):
        begin = time.monotonic()
        with pytest.raises(StoreBusy, match="locked"):
            await database.write(ADD)
        assert time.monotonic() - begin < ENOUGH
        assert await database.read(LOOK) == 0
    assert await database.write(ADD) == 1
    assert await database.read(LOOK) == 2


async def test_when_all_connections_are_taken_the_error_says_so_and_not_that_the_database_is_away(
    database: PostgresqlDatabase,
) -> None:
    async with database._lent.lend(seconds=1), database._lent.lend(seconds=1):
        begin = time.monotonic()
        with pytest.raises(StoreConnectionsTaken, match="all 2 connections of this process are in use"):
            await database.read(LOOK)
        assert time.monotonic() - begin < ENOUGH
    assert await database.read(LOOK) == 0


@pytest.mark.parametrize("operation", ["read", "write", "write_alone"])
async def test_a_server_that_falls_silent_is_given_up_and_nothing_is_lost_when_it_speaks_again(
    database: PostgresqlDatabase, wire: Wire, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatepost.stores.sql.postgresql.database._COMMIT_SECONDS", LONGEST_ATTEMPT)
    await database.write(ADD)
    call = LOOK if operation == "read" else ADD
    wire.fall_silent()
    begin = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"no answer came|does not answer") as fault:
        await getattr(database, operation)(call)
    assert time.monotonic() - begin < ENOUGH
    # What was sent alone may have happened; the others have not, and are waited out.
    assert isinstance(fault.value, StoreBusy) is (operation != "write_alone")
    with pytest.raises(StoreBusy):  # nor does a new connection answer
        await database.read(LOOK)
    wire.speak()
    assert await waited_out(database) in {1, 2}


async def test_each_silence_that_is_met_before_a_statement_of_its_own_ends_the_other_connections_too(
    database: PostgresqlDatabase, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each of them would cost somebody an attempt."""
    monkeypatch.setattr("gatepost.stores.sql.postgresql.database._FRESH_SECONDS", -1.0)
    ended = 0
    expire = database._lent.expire

    async def count() -> None:
        nonlocal ended
        ended += 1
        await expire()

    monkeypatch.setattr(database._lent, "expire", count)
    for silence in (1, 2):
        assert await database.write_alone(ADD) is not None
        wire.fall_silent()
        with pytest.raises(StoreBusy, match="no answer came within 1 seconds"):
            await database.write_alone(ADD)
        wire.speak()
        await waited_out(database)
        assert ended == silence


async def waited_out(database: PostgresqlDatabase) -> int:
    """Read as a caller does who waits."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return await database.read(LOOK)
        except StoreBusy:
            assert time.monotonic() < deadline


async def test_an_operation_that_takes_longer_than_an_attempt_is_allowed_to_the_next_time(
    database: PostgresqlDatabase,
) -> None:
    for run in (database.read, database.write):
        with pytest.raises(StoreBusy, match="no answer came within 1 seconds"):
            await run(SLEEP)
        assert await run(SLEEP) == "rested"
        database._slow.clear()


async def test_a_server_that_never_answers_does_not_keep_the_start_waiting(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatepost.stores.sql.postgresql.connecting._CONNECT_SECONDS", 0.2)
    wire.fall_silent()
    with pytest.raises(StoreUnavailable, match="does not answer"):
        await PostgresqlDatabase(wire.url, busy_timeout=5).open()


async def test_connections_that_were_begun_and_not_waited_for_end_with_the_store(
    database: PostgresqlDatabase, wire: Wire
) -> None:
    async with database._lent.lend(seconds=1):
        wire.fall_silent()
        with pytest.raises(StoreBusy):
            await database.read(LOOK)
    await database.close()
    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("gatepost")] == []
