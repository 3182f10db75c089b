"""PostgreSQL: `Database` over a pool of asyncpg's connections.

Owns: the URL, the pool, transactions with their retries, wake-ups by LISTEN and NOTIFY, and what errors mean.
Depends on: `stores.sql`, `stores.contract`, asyncpg, which is imported when the store is opened.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gatepost.stores.contract.store import Store
from gatepost.stores.sql.postgresql.database import MOST_CONNECTIONS, PostgresqlDatabase
from gatepost.stores.sql.postgresql.grants import PostgresqlGrantStore
from gatepost.stores.sql.postgresql.limits import PostgresqlLimitStore
from gatepost.stores.sql.postgresql.listener import PostgresqlWakeups
from gatepost.stores.sql.store import sql_store


def postgresql_store(
    url: str, *, busy_timeout: float = 5.0, connections: int = MOST_CONNECTIONS, password_file: Path | None = None
) -> Store:
    """Return the store in a PostgreSQL database, shared by any number of processes; not open yet.

    Args:
        url: as libpq takes it: `postgresql://user@host:5432/database?sslmode=verify-full`; several hosts with commas.
        busy_timeout: for how many seconds an operation is repeated that could not begin, where its caller has not said
            how long it waits (`stores.contract.busy`).
        connections: how many this process has at most; one more listens.
        password_file: a file that holds the password and nothing else, read for each connection; None where the URL
            says all.
    """
    database = PostgresqlDatabase(url, busy_timeout=busy_timeout, connections=connections, password_file=password_file)
    store = sql_store(database, PostgresqlWakeups(database, url, origin=database.origin, password_file=password_file))
    return replace(
        store, grants=PostgresqlGrantStore(database), limits=PostgresqlLimitStore(database), figures=database.figures
    )
