"""Of every operation that writes, the suite notices when it answers as if it were done, and is not."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import product
from typing import Any, TypeAlias

from gatepost.stores.conformance import StoreConformance
from gatepost.stores.sql.database import Operation, T, Transaction
from gatepost.stores.sql.sqlite.memory import MemoryDatabase
from gatepost.stores.sql.store import sql_store

Test: TypeAlias = Callable[..., Awaitable[Any]]


class Undo(Exception):
    """Rolls a transaction back."""


class LosesWrites(MemoryDatabase):
    """Answers one operation as if it were done, and undoes it; notes which operations write."""

    def __init__(self, lost: str | None = None) -> None:
        super().__init__()
        self.lost = lost
        self.written: set[str] = set()

    async def write(self, operation: Operation[T]) -> T:
        name = operation_name(operation)
        self.written.add(name)
        if name != self.lost:
            return await super().write(operation)
        answers: list[T] = []

        async def undone(transaction: Transaction) -> T:
            answers.append(await operation(transaction))
            raise Undo

        try:
            return await super().write(undone)
        except Undo:
            return answers[0]


def operation_name(operation: Operation[Any]) -> str:
    """Return its name; one in an administrator's name has none, and all of them count as one."""
    return getattr(operation, "name", "in an administrator's name")


def every_case() -> list[Test]:
    """The tests of the suite that need a store and no place, each with what it is parametrized with."""
    every = [getattr(StoreConformance, name) for name in dir(StoreConformance) if name.startswith("test_")]
    return [
        partial(test, **given)
        for test in every
        if "store" in inspect.signature(test).parameters and "place" not in inspect.signature(test).parameters
        for given in parameters_of(test)
    ]


def parameters_of(test: Any) -> Iterator[dict[str, Any]]:
    """Give the arguments of each case of a test, as pytest does."""
    sets: list[list[dict[str, Any]]] = []
    for mark in test.pytestmark:
        if mark.name != "parametrize":
            continue
        names, cases = mark.args
        listed = [each.strip() for each in names.split(",")] if isinstance(names, str) else names
        sets.append([dict(zip(listed, case if len(listed) > 1 else [case], strict=True)) for case in cases])
    for chosen in product(*sets):
        yield {name: value for given in chosen for name, value in given.items()}


async def callers() -> dict[str, list[Test]]:
    """Return which of the tests call which operation that writes."""
    found: dict[str, list[Test]] = defaultdict(list)
    for test in every_case():
        database = LosesWrites()
        await test(store=sql_store(database))
        for name in database.written:
            found[name].append(test)
    return found


async def notices(test: Test, lost: str) -> bool:
    try:
        await test(store=sql_store(LosesWrites(lost)))
    except Exception:  # noqa: BLE001 - a test may stumble over what is missing before it looks
        return True
    return False


async def test_no_write_can_be_lost_without_a_test_that_notices() -> None:
    unnoticed = []
    found = await callers()
    for name, tests in found.items():
        for test in tests:
            if await notices(test, name):
                break
        else:
            unnoticed.append(name)

    # What `check` writes is seen by nobody, and is there to fail.
    assert sorted(unnoticed) == ["_Probe._write"]
    assert len(found) > 90
