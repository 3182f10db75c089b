"""Operations of one kind that stand in each other's way take turns, and are repeated until none does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.sql.database import StoreCall, Transaction
from gatepost.stores.sql.postgresql.database import PostgresqlDatabase
from gatepost.stores.sql.postgresql.turns import NoTurn, Turns
from tests.patience import PATIENCE
from tests.stores import postgresql_server

MOST = 4
NEXT = "INSERT INTO store_probe (slot, written) VALUES ((SELECT coalesce(max(slot), 0) + 1 FROM store_probe), 0)"


async def at_work(turns: Turns, name: str, seconds: float = PATIENCE) -> asyncio.Event:
    """Be at work from now on, until the event is set."""
    begun, done = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        async with turns.turn(name, seconds=seconds):
            begun.set()
            await done.wait()

    task = asyncio.create_task(work())
    await begun.wait()
    assert not task.done()
    return done


async def waiting(turns: Turns, name: str, order: list[int], number: int) -> asyncio.Task[None]:
    """Get in line."""

    async def work() -> None:
        async with turns.turn(name, seconds=PATIENCE):
            order.append(number)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    return task


async def test_nobody_waits_where_none_has_stood_in_anothers_way() -> None:
    turns = Turns(MOST)

    for _ in range(10 * MOST):
        await at_work(turns, "begin")


async def test_half_as_many_are_let_in_after_each_meeting_and_never_none() -> None:
    turns = Turns(MOST)
    await at_work(turns, "begin")

    allowed = []
    for _ in range(4):
        turns.met("begin")
        allowed.append(turns.allowed("begin"))

    assert allowed == [2, 1, 1, 1]
    assert turns.allowed("another") == MOST


async def test_those_who_wait_are_let_in_one_after_the_other_in_order() -> None:
    turns, order = Turns(MOST), list[int]()
    done = await at_work(turns, "begin")
    turns.met("begin")
    turns.met("begin")
    line = [await waiting(turns, "begin", order, number) for number in range(3)]
    assert order == []

    done.set()
    await asyncio.gather(*line)

    assert order == [0, 1, 2]


async def test_as_they_succeed_more_are_let_in_until_nobody_waits() -> None:
    turns = Turns(MOST)
    await at_work(turns, "begin")
    turns.met("begin")
    turns.met("begin")

    for _ in range(100 * MOST):
        turns.passed("begin")

    assert turns.allowed("begin") == MOST
    for _ in range(10 * MOST):
        await at_work(turns, "begin")


async def test_who_does_not_get_a_turn_in_time_is_told_and_leaves_the_line() -> None:
    turns, order = Turns(MOST), list[int]()
    done = await at_work(turns, "begin")
    turns.met("begin")
    turns.met("begin")

    with pytest.raises(NoTurn):
        await at_work_at_once(turns)
    last = await waiting(turns, "begin", order, 1)
    done.set()
    await last

    assert order == [1]


async def test_who_leaves_the_line_or_is_let_in_and_leaves_takes_no_turn_along() -> None:
    turns, order = Turns(MOST), list[int]()
    done = await at_work(turns, "begin")
    turns.met("begin")
    turns.met("begin")
    leaves, is_let_in = [await waiting(turns, "begin", order, number) for number in range(2)]
    leaves.cancel()
    await asyncio.gather(leaves, return_exceptions=True)
    done.set()
    await asyncio.sleep(0)
    is_let_in.cancel()
    await asyncio.gather(is_let_in, return_exceptions=True)

    await at_work(turns, "begin")


@pytest.mark.parametrize("gives_up", ["cancelled", "out of time"])
async def test_who_gives_up_as_a_turn_comes_free_leaves_it_to_the_next_in_line(gives_up: str) -> None:
    turns, order = Turns(MOST), list[int]()
    done = await at_work(turns, "begin")
    turns.met("begin")
    turns.met("begin")
    first = asyncio.create_task(at_work_at_once(turns, seconds=PATIENCE if gives_up == "cancelled" else 0))
    behind = await waiting(turns, "begin", order, 1)

    # The one at work is woken first, and finds a line whose first has given up and has not left yet.
    done.set()
    if gives_up == "cancelled":
        first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await asyncio.wait([behind], timeout=PATIENCE / 2)

    assert order == [1]


async def at_work_at_once(turns: Turns, *, seconds: float = 0) -> None:
    async with turns.turn("begin", seconds=seconds):
        raise AssertionError("it is another one's turn")


class Calls:
    """An operation by name."""

    async def add_next(self, transaction: Transaction) -> int:
        return await transaction.run(NEXT)


ADD_NEXT: StoreCall[int] = StoreCall(Calls.add_next, Calls(), (), {})


@pytest.fixture
async def database(postgresql_url: str) -> AsyncIterator[PostgresqlDatabase]:
    """An open database without rows."""
    opened = PostgresqlDatabase(postgresql_url, busy_timeout=PATIENCE)
    await opened.open()
    await postgresql_server.empty(postgresql_url)
    yield opened
    await opened.close()


async def count(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        found: int = await connection.fetchval("SELECT count(*) FROM store_probe")
        return found
    finally:
        await connection.close()


async def test_a_number_that_another_transaction_took_meanwhile_is_no_mistake(
    database: PostgresqlDatabase, postgresql_url: str
) -> None:
    attempts = 0

    class Meeting:
        async def add_next(self, transaction: Transaction) -> int:
            nonlocal attempts
            attempts += 1
            row = await transaction.one("SELECT coalesce(max(slot), 0) + 1 AS number FROM store_probe")
            assert row is not None
            if attempts == 1:
                postgresql_server.execute("INSERT INTO store_probe (slot, written) VALUES (1, 0)", url=postgresql_url)
            insertion = "INSERT INTO store_probe (slot, written) VALUES ($1, 0)"
            return await transaction.run(insertion, row["number"])

    await database.write(StoreCall(Meeting.add_next, Meeting(), (), {}))

    assert attempts == 2
    assert await count(postgresql_url) == 2


async def test_what_breaks_a_constraint_by_itself_is_said_as_it_is_when_it_has_broken_it_again(
    database: PostgresqlDatabase,
) -> None:
    attempts = 0

    class Mistaken:
        async def add_first(self, transaction: Transaction) -> int:
            nonlocal attempts
            attempts += 1
            return await transaction.run("INSERT INTO store_probe (slot, written) VALUES (1, 0)")

    add_first = StoreCall(Mistaken.add_first, Mistaken(), (), {})
    await database.write(add_first)

    with pytest.raises(asyncpg.UniqueViolationError):
        await database.write(add_first)

    assert attempts == 1 + 2


async def test_hundreds_that_take_the_next_number_at_once_all_get_one(
    database: PostgresqlDatabase, postgresql_url: str
) -> None:
    async def add() -> None:
        while True:
            try:
                await database.write(ADD_NEXT)
            except StoreUnavailable:
                continue  # as a caller that waits does
            return

    await asyncio.gather(*(add() for _ in range(200)))

    assert await count(postgresql_url) == 200
