"""A PostgreSQL database that tests share, a schema for each: the one that GATEPOST_TEST_POSTGRESQL names.

Without that variable one at the usual port is taken, or else one is started for this process from Debian's packages.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import asyncpg

from tests import postgresql_instance
from tests.pgbouncer_instance import Pgbouncer, pgbouncer

_NAMED = os.environ.get("GATEPOST_TEST_POSTGRESQL")
SERVER = _NAMED or "postgresql://postgres@127.0.0.1:5432/test"
_SECONDS = 5


def is_there() -> bool:
    """Say whether a server answers, once one has been started if there was none."""
    if not _answers() and _NAMED is None and postgresql_instance.is_possible():
        _start()
    return _answers()


def _start() -> None:
    global SERVER  # noqa: PLW0603 - one for the process, from now on
    running = ExitStack()
    atexit.register(running.close)
    instances = running.enter_context(postgresql_instance.postgresql_instances())
    SERVER = instances.primary(is_durable=False).url


def _answers() -> bool:
    async def ask() -> None:
        await (await asyncpg.connect(SERVER, timeout=_SECONDS)).close()

    try:
        postgresql_instance.run_apart(ask())
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


def execute(*statements: str, url: str | None = None) -> None:
    """Run statements, one after the other."""
    postgresql_instance.execute(*statements, url=url or SERVER)


def rows_of(query: str, *, url: str) -> Sequence[tuple[Any, ...]]:
    """Return the rows that a query finds."""
    return postgresql_instance.rows_of(query, url=url)


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


@contextmanager
def behind_pgbouncer(name: str) -> Iterator[tuple[str, Pgbouncer]]:
    """Make an empty schema, and give its URL and a PgBouncer in front of it, whose role has the schema's settings."""
    with schema(name) as url:
        execute(
            f'CREATE ROLE "{name}" SUPERUSER LOGIN',
            f'ALTER ROLE "{name}" SET search_path = "{name}"',
            f'ALTER ROLE "{name}" SET synchronous_commit = off',
        )
        try:
            with pgbouncer(SERVER, role=name) as pooler:
                yield url, pooler
        finally:
            execute(f'DROP OWNED BY "{name}" CASCADE', f'DROP ROLE "{name}"')
