"""SQLite: look-ups on the thread that asks, and what sends them to the reader's thread instead."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gatepost.stores.conformance.records import NOW, fp, redeem
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.store import Store
from gatepost.stores.sql import database
from gatepost.stores.sql.database import ELSEWHERE, Operation, Row, StoreCall, Transaction, Value
from gatepost.stores.sql.sqlite.database import SqliteDatabase
from gatepost.stores.sql.sqlite.look_ups import PAUSE_SECONDS, SLOW_SECONDS, LookUps
from gatepost.stores.sql.sqlite.transaction import SqliteTransaction
from tests.patience import PATIENCE

MODULES = [path.read_text() for path in Path(database.__file__).parent.glob("*.py")]


class Clock:
    """A clock that is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def look_ups(sqlite_database: SqliteDatabase, clock: Clock) -> Iterator[LookUps]:
    """Those at an open store, with a clock of their own."""
    look_ups = LookUps(Path(sqlite_database.description), clock)
    look_ups.open()
    yield look_ups
    look_ups.close()


async def look(transaction: Transaction) -> Row | None:
    return await transaction.one("SELECT version FROM schema_version")


def taking(seconds: float, clock: Clock) -> Operation[Row | None]:
    async def look_slowly(transaction: Transaction) -> Row | None:
        clock.now += seconds
        return await look(transaction)

    return look_slowly


async def test_a_token_check_waits_for_no_other_read(sqlite_store: Store, sqlite_database: SqliteDatabase) -> None:
    await redeem(sqlite_store)
    held, release = threading.Event(), threading.Event()

    async def hold(_: Transaction) -> None:
        held.set()
        assert release.wait(PATIENCE)

    holding = asyncio.ensure_future(sqlite_database.read(hold))
    assert await asyncio.to_thread(held.wait, PATIENCE)
    try:
        found = await sqlite_store.grants.find_access_token(fp("access 1"), now=NOW)
    finally:
        release.set()
    assert found is not None
    await holding


async def test_a_token_check_sees_what_was_acknowledged_before_it(sqlite_store: Store) -> None:
    grant = await redeem(sqlite_store)
    for is_revoked in (False, True):
        found = await sqlite_store.grants.find_access_token(fp("access 1"), now=NOW)
        assert found is not None
        assert found.grant_revoked is is_revoked
        await sqlite_store.grants.revoke_grant(grant.grant_id, reason="test", now=NOW)


async def test_a_token_check_sees_what_another_process_has_committed(sqlite_store: Store) -> None:
    await redeem(sqlite_store)
    assert await sqlite_store.grants.find_access_token(fp("access 1"), now=NOW) is not None
    with closing(sqlite3.connect(sqlite_store.description, isolation_level=None)) as another_process:
        another_process.execute("UPDATE grants SET revoked_at = ?", (NOW,))
        found = await sqlite_store.grants.find_access_token(fp("access 1"), now=NOW)
        assert found is not None
        assert found.grant_revoked


LOOK_UPS: dict[str, Callable[[Store], Awaitable[object]]] = {
    "SqlGrantStore.find_access_token": lambda store: store.grants.find_access_token(fp("access 1"), now=NOW),
    "SqlGrantStore.find_code_and_client": lambda store: store.grants.find_code_and_client(fp("code"), now=NOW),
    "SqlClientStore.find_client": lambda store: store.clients.find_client("client_1"),
    "SqlApiKeyStore.find_key": lambda store: store.api_keys.find_key(fp("key")),
    "SqlMcpSessionStore.find_session": lambda store: store.mcp_sessions.find_session(fp("s"), owner="me", now=NOW),
}


async def test_each_look_up_is_one_statement_but_that_of_an_unknown_access_token(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran, statements = list[str](), list[str]()
    run, execute = LookUps.run, SqliteTransaction._execute

    def noted(self: LookUps, operation: StoreCall[object]) -> object:
        ran.append(operation.name)
        return run(self, operation)

    def counted(self: SqliteTransaction, sql: str, parameters: tuple[Value, ...]) -> sqlite3.Cursor:
        statements.append(sql)
        return execute(self, sql, parameters)

    await redeem(sqlite_store)
    monkeypatch.setattr(LookUps, "run", noted)
    monkeypatch.setattr(SqliteTransaction, "_execute", counted)
    for look_it_up in LOOK_UPS.values():
        await look_it_up(sqlite_store)

    assert ran == list(LOOK_UPS)
    assert len(statements) == len(LOOK_UPS)
    # It may have been exchanged for another one (record 0099); no token is ever moved, so two snapshots will do.
    statements.clear()
    assert await sqlite_store.grants.find_access_token(fp("unknown"), now=NOW) is None
    assert len(statements) == 2
    decorated = [
        look_up_of for module in MODULES for look_up_of in re.findall(r"@look_up\n    async def (\w+)", module)
    ]
    assert sorted(decorated) == sorted(name.partition(".")[2] for name in LOOK_UPS)


def test_after_two_slow_look_ups_the_next_ones_go_elsewhere_for_a_while(look_ups: LookUps, clock: Clock) -> None:
    for _ in range(3):
        assert look_ups.run(taking(SLOW_SECONDS * 2, clock)) is not ELSEWHERE
        assert look_ups.run(taking(SLOW_SECONDS / 2, clock)) is not ELSEWHERE
    for _ in range(2):
        assert look_ups.run(taking(SLOW_SECONDS * 2, clock)) is not ELSEWHERE

    assert look_ups.run(look) is ELSEWHERE
    clock.now += PAUSE_SECONDS - 0.01
    assert look_ups.run(look) is ELSEWHERE
    clock.now += 0.02
    assert look_ups.run(look) is not ELSEWHERE


def test_a_look_up_that_fails_goes_elsewhere_and_the_next_one_does_not(look_ups: LookUps) -> None:
    async def find_it_locked(_: Transaction) -> None:
        raise sqlite3.OperationalError("database is locked")

    assert look_ups.run(find_it_locked) is ELSEWHERE
    assert look_ups.run(look) is not ELSEWHERE


def test_nothing_is_written_by_a_look_up(look_ups: LookUps) -> None:
    async def write(transaction: Transaction) -> None:
        await transaction.run("DELETE FROM schema_version")

    assert look_ups.run(write) is ELSEWHERE
    assert look_ups.run(look) is not ELSEWHERE


def test_a_look_up_from_another_thread_meanwhile_goes_elsewhere(look_ups: LookUps) -> None:
    found: list[object] = []

    async def meet(transaction: Transaction) -> Row | None:
        thread = threading.Thread(target=lambda: found.append(look_ups.run(look)))
        thread.start()
        thread.join(PATIENCE)
        return await look(transaction)

    assert look_ups.run(meet) is not ELSEWHERE
    assert found == [ELSEWHERE]


def test_look_ups_that_are_closed_go_elsewhere(look_ups: LookUps) -> None:
    look_ups.close()
    look_ups.close()
    assert look_ups.run(look) is ELSEWHERE


async def test_a_store_that_is_closed_says_so_to_a_token_check(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "gatepost.db", busy_timeout=0.01)
    await database.open()
    await database.close()
    assert database.look_up(look) is ELSEWHERE
    with pytest.raises(StoreUnavailable, match="closed"):
        await database.read(look)
