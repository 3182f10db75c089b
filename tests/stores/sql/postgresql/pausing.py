"""Operations that stop within a statement, so that others are done beside them in an order that is known."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, Generic, TypeVar

import asyncpg
import pytest

from gatepost.stores.sql.postgresql import grants as rotating

T = TypeVar("T")

PATIENCE: Final = 60.0
"""Seconds; only ever reached when something is broken."""
PAUSE: Final = 7_450_075
"""The advisory lock at which an operation waits in the middle of its statement."""


class Paused(Generic[T]):
    """An operation that waits in its statement; `go_on` ends that."""

    def __init__(self, connection: Any, task: asyncio.Task[T]) -> None:
        self.connection, self.task = connection, task

    async def pid(self) -> int:
        """The server process that runs the statement."""
        pid: int = await self.connection.fetchval(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted", PAUSE
        )
        return pid

    async def go_on(self) -> T:
        await self.connection.execute("SELECT pg_advisory_unlock($1)", PAUSE)
        return await self.task


@asynccontextmanager
async def paused(
    url: str, operation: Callable[[], Awaitable[T]], *, table: str = "access_tokens"
) -> AsyncIterator[Paused[T]]:
    """Begin an operation and stop it where it has added a row to the table.

    That is where a refresh or a code exchange has spent its token or code, and holds its locks.
    """
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            f"CREATE OR REPLACE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN PERFORM pg_advisory_xact_lock({PAUSE}); RETURN NULL; END $$"
        )
        await connection.execute(f"CREATE TRIGGER pauses AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION pause()")
        await connection.execute("SELECT pg_advisory_lock($1)", PAUSE)
        held = Paused(connection, asyncio.create_task(_of(operation())))
        try:
            await until(held.pid)
            yield held
        finally:
            await connection.execute("SELECT pg_advisory_unlock_all()")
            await asyncio.gather(held.task, return_exceptions=True)
    finally:
        await connection.execute("DROP FUNCTION IF EXISTS pause CASCADE")
        await connection.close()


@asynccontextmanager
async def paused_before_it_locks(
    url: str, monkeypatch: pytest.MonkeyPatch, operation: Callable[[], Awaitable[T]]
) -> AsyncIterator[Paused[T]]:
    """Begin a rotation and stop it when it has its snapshot and has looked at no row yet."""
    found = "FROM refresh_tokens JOIN grants"
    assert rotating.ROTATE.count(found) == 1
    wait = f"(SELECT pg_advisory_xact_lock({PAUSE}) IS NOT NULL AS is_over OFFSET 0) AS pause"
    monkeypatch.setattr(
        rotating, "ROTATE", rotating.ROTATE.replace(found, f"FROM {wait} CROSS JOIN refresh_tokens JOIN grants")
    )
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", PAUSE)
        held = Paused(connection, asyncio.create_task(_of(operation())))
        try:
            await until(held.pid)
            yield held
        finally:
            await connection.execute("SELECT pg_advisory_unlock_all()")
            await asyncio.gather(held.task, return_exceptions=True)
    finally:
        await connection.close()


async def until(found: Callable[[], Awaitable[object]]) -> None:
    """Wait until there is something."""
    deadline = time.monotonic() + PATIENCE
    while not await found():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def is_waiting(connection: Any) -> bool:
    """Say whether some transaction waits for a row."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'transactionid'"
    )
    return count > 0


async def _of(awaitable: Awaitable[T]) -> T:
    return await awaitable
