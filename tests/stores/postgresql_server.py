"""A PostgreSQL database for tests: the one that GATEPOST_TEST_POSTGRESQL names, a schema for each process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import asyncpg

SERVER = os.environ.get("GATEPOST_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/test")
_SECONDS = 5


def is_there() -> bool:
    """Say whether a server answers."""

    async def ask() -> None:
        await (await asyncpg.connect(SERVER, timeout=_SECONDS)).close()

    try:
        _run(ask())
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    return True


@contextmanager
def schema(name: str) -> Iterator[str]:
    """Make an empty schema and return the URL of a store in it; the schema is gone afterwards."""
    execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE', f'CREATE SCHEMA "{name}"')
    try:
        # A commit in a test need not wait for the disk. The name of a setting in the URL sets it.
        yield f"{SERVER}?search_path={name}&synchronous_commit=off"
    finally:
        execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')


def execute(*statements: str, url: str = SERVER) -> None:
    """Run statements, one after the other."""

    async def run() -> None:
        connection = await asyncpg.connect(url, timeout=_SECONDS)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    _run(run())


def rows_of(query: str, *, url: str) -> Sequence[tuple[Any, ...]]:
    """Return the rows that a query finds."""
    found: list[tuple[Any, ...]] = []

    async def run() -> None:
        connection = await asyncpg.connect(url, timeout=_SECONDS)
        try:
            found.extend(tuple(row) for row in await connection.fetch(query))
        finally:
            await connection.close()

    _run(run())
    return found


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run it in a thread: a fixture may be asked for where an event loop runs already."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


async def empty(url: str) -> None:
    """Delete every row of a store."""
    connection = await asyncpg.connect(url, timeout=_SECONDS)
    try:
        tables = await connection.fetch(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = current_schema() AND table_name <> 'schema_version'"
        )
        # Without triggers, foreign keys are not looked at: any order will do.
        deletions = "; ".join(f'DELETE FROM "{row["table_name"]}"' for row in tables)  # noqa: S608 - our own names
        await connection.execute(f"SET session_replication_role = replica; {deletions}")
    finally:
        await connection.close()
