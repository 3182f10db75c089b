"""A busy store is waited for as long as the caller waits, and only where nothing has happened."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from gatepost.stores.conformance.records import client
from gatepost.stores.contract.busy import PATIENCE, Patience, Until
from gatepost.stores.contract.errors import StoreBusy, StoreOverloaded, StoreUnavailable
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.database import Operation, T
from gatepost.stores.sql.sqlite.database import SqliteDatabase
from gatepost.stores.sql.sqlite.memory import MemoryDatabase
from gatepost.stores.sql.store import sql_store


class Busy(MemoryDatabase):
    """A database that fails a number of times before it answers."""

    def __init__(self, times: int, fault: Callable[[], Exception], *, is_done: bool = False) -> None:
        super().__init__()
        self.times = times
        self.fault = fault
        self.is_done = is_done

    async def write(self, operation: Operation[T]) -> T:
        self.times -= 1
        if self.times >= 0:
            if self.is_done:
                await super().write(operation)
            raise self.fault()
        return await super().write(operation)


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def until(self, end: float) -> Until:
        return Until(end, self, self.sleep)


def lock_held() -> Exception:
    return StoreBusy("another process has locked it")


def overloaded() -> Exception:
    return StoreOverloaded("too many operations are waiting")


async def patiently(patience: Patience, asked: Coroutine[Any, Any, T]) -> T:
    token = PATIENCE.set(patience)
    try:
        return await asked
    finally:
        PATIENCE.reset(token)


@pytest.mark.parametrize("fault", [lock_held, overloaded])
async def test_an_operation_is_repeated_until_the_store_has_begun(fault: Callable[[], Exception]) -> None:
    clock = Clock()
    store = sql_store(Busy(3, fault))

    await patiently(clock.until(1), store.clients.register_client(client()))

    assert await store.clients.find_client("client-1") == client()
    assert clock.now == pytest.approx(3 * 0.05)


async def test_the_wait_ends_with_the_patience_and_nothing_is_written() -> None:
    clock = Clock()
    store = sql_store(Busy(1_000_000, lock_held))

    with pytest.raises(StoreBusy, match="another process"):
        await patiently(clock.until(9), store.clients.register_client(client()))

    assert clock.now == pytest.approx(9, abs=0.06)
    assert await store.clients.find_client("client-1") is None


async def test_what_may_have_happened_is_not_repeated() -> None:
    database = Busy(1, lambda: StoreUnavailable("the connection broke at the commit"), is_done=True)
    store = sql_store(database)

    with pytest.raises(StoreUnavailable, match="broke at the commit"):
        await patiently(Clock().until(9), store.clients.register_client(client()))

    assert database.times == 0
    assert await store.clients.find_client("client-1") == client()


async def test_without_a_patience_a_queue_that_is_full_refuses_at_once() -> None:
    database = Busy(1, overloaded)
    with pytest.raises(StoreOverloaded):
        await sql_store(database).clients.register_client(client())
    assert database.times == 0


@dataclass
class Releasing:
    """A patience that gives another process's lock back at its third look."""

    other: sqlite3.Connection
    looks: int = 0

    async def lasts(self) -> bool:
        self.looks += 1
        if self.looks == 3:
            self.other.execute("ROLLBACK")
        return True

    def left(self) -> float:
        return 60.0


async def test_a_lock_of_another_process_is_waited_out(sqlite_store: Store, sqlite_database: SqliteDatabase) -> None:
    with closing(sqlite3.connect(sqlite_database.description, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        patience = Releasing(other)

        await patiently(patience, sqlite_store.clients.register_client(client()))

    assert patience.looks == 3
    assert await sqlite_store.clients.find_client("client-1") == client()
