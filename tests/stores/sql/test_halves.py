"""The durable truth and the live state are two halves: no operation of one touches the tables of the other."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from gatepost.oauth.limits import Rate, RegistrationBudget
from gatepost.stores.conformance.behaviour.repetition import REPETITIONS
from gatepost.stores.conformance.full_store import fill, seen
from gatepost.stores.conformance.promises import concerns
from gatepost.stores.conformance.records import client
from gatepost.stores.contract.store import LIVE_STATE, Store
from gatepost.stores.sql.database import Elsewhere, Operation, Row, T, Transaction, Value
from gatepost.stores.sql.schema import live_state, tasks
from gatepost.stores.sql.schema.catalogue import TABLES
from gatepost.stores.sql.schema.migrations import MIGRATIONS
from gatepost.stores.sql.sqlite.memory import MemoryDatabase
from gatepost.stores.sql.store import sql_store

CREATED = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)")
NAMED = re.compile(r"\b(?:FROM|INTO|UPDATE|JOIN|REFERENCES)\s+(\w+)")
TABLES_OF_LIVE_STATE = set(CREATED.findall("\n".join((*live_state.STATEMENTS, *tasks.TASKS))))
DURABLE_TABLES = {table.name for table in TABLES} - TABLES_OF_LIVE_STATE

# Each needs an answer before the halves may lie in two places: a count of its own, and two operations in a row.
ACROSS = {("clients.register_client", "limits"), ("approvals.revoke_all", "mcp_sessions")}


class Watched:
    """A transaction whose statements are noted."""

    def __init__(self, transaction: Transaction, statements: set[str]) -> None:
        self._transaction = transaction
        self._statements = statements

    def run(self, sql: str, *parameters: Value) -> Coroutine[Any, Any, int]:
        self._statements.add(sql)
        return self._transaction.run(sql, *parameters)

    def one(self, sql: str, *parameters: Value) -> Coroutine[Any, Any, Row | None]:
        self._statements.add(sql)
        return self._transaction.one(sql, *parameters)

    def all(self, sql: str, *parameters: Value) -> Coroutine[Any, Any, Sequence[Row]]:
        self._statements.add(sql)
        return self._transaction.all(sql, *parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transaction, name)


class Watching(MemoryDatabase):
    """Notes the statements of each operation, by the names of its class and method."""

    def __init__(self, statements: dict[str, set[str]]) -> None:
        super().__init__()
        self.statements = statements

    async def read(self, operation: Operation[T]) -> T:
        return await super().read(self._watched(operation))

    def look_up(self, operation: Operation[T]) -> T | Elsewhere:
        return super().look_up(self._watched(operation))

    async def write(self, operation: Operation[T]) -> T:
        return await super().write(self._watched(operation))

    def _watched(self, operation: Operation[T]) -> Operation[T]:
        statements = self.statements[getattr(operation, "name", "")]
        return lambda transaction: operation(Watched(transaction, statements))


def by_operation(statements: dict[str, set[str]], store: Store) -> dict[str, set[str]]:
    """Return which tables each operation names, by `concern.method`."""
    concern_of = {type(getattr(store, name)).__name__: name for name in concerns()}
    tables: dict[str, set[str]] = {}
    for name, texts in statements.items():
        kind, _, method = name.partition(".")
        if kind in concern_of:
            found = {table for text in texts for table in NAMED.findall(text)}
            tables[f"{concern_of[kind]}.{method}"] = found & (TABLES_OF_LIVE_STATE | DURABLE_TABLES)
    return tables


@pytest.fixture
async def tables() -> dict[str, set[str]]:
    statements: dict[str, set[str]] = defaultdict(set)
    store = sql_store(Watching(statements))
    for repetition in REPETITIONS.values():
        store = sql_store(Watching(statements))
        await fill(store)
        await seen(store)
        await repetition.call(store)
    return by_operation(statements, store)


async def test_no_operation_of_one_half_touches_a_table_of_the_other_but_those_that_are_known(
    tables: dict[str, set[str]],
) -> None:
    assert len(tables) > 120
    across = {
        (operation, table)
        for operation, named in tables.items()
        for table in named
        if (table in TABLES_OF_LIVE_STATE) != (operation.partition(".")[0] in LIVE_STATE)
    }

    # `register_client` counts only where it is given a budget, which is tried below.
    assert across == ACROSS - {("clients.register_client", "limits")}


async def test_a_registration_within_a_budget_counts_among_the_limits() -> None:
    statements: dict[str, set[str]] = defaultdict(set)
    store = sql_store(Watching(statements))
    budget = RegistrationBudget(Rate(1, 60), 9, spared_seconds=60)
    assert await store.clients.register_client(client(), budget=budget) == 0

    named = by_operation(statements, store)["clients.register_client"]
    assert named & TABLES_OF_LIVE_STATE == {"limits"}


def test_no_row_of_one_half_refers_to_one_of_the_other() -> None:
    for statements in MIGRATIONS:
        for statement in statements:
            table = next(iter(CREATED.findall(statement)), None)
            for parent in re.findall(r"REFERENCES (\w+)", statement):
                assert (table in TABLES_OF_LIVE_STATE) == (parent in TABLES_OF_LIVE_STATE), statement


def test_each_concern_is_of_one_half() -> None:
    assert set(concerns()) > LIVE_STATE
    assert {
        *(table.name for table in TABLES if table.name.startswith(("mcp_", "task"))),
        "change_log",
        "leases",
        "limits",
    } == TABLES_OF_LIVE_STATE
