"""Processes over one PostgreSQL database that hear of each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from gatepost.stores.contract.store import Store
from gatepost.stores.contract.wakeups import Wakeup
from gatepost.stores.sql.database import Transaction
from gatepost.stores.sql.postgresql.database import PostgresqlDatabase
from gatepost.stores.sql.postgresql.listener import PostgresqlWakeups
from gatepost.stores.sql.postgresql.notifications import CHANNEL
from gatepost.stores.sql.store import sql_store
from tests.patience import PATIENCE
from tests.stores import postgresql_server


class Process:
    """A store, and what is heard of the others over it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.heard: list[Wakeup] = []
        self.gaps: list[bool] = []
        """At each, whether others are heard from then on."""
        self._changed = asyncio.Event()

    def on_wakeup(self, wakeup: Wakeup) -> None:
        self.heard.append(wakeup)
        self._changed.set()

    def on_gap(self) -> None:
        self.gaps.append(self.store.wakeups.are_heard)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await self._changed.wait()
                self._changed.clear()


def store_that_listens_at(listens_at: str, url: str, **options: Any) -> Store:
    """A store whose wake-ups come over another address than its pool, and which tries again at once."""
    database = PostgresqlDatabase(url, busy_timeout=5)

    async def at_once(seconds: float) -> None:
        del seconds
        await asyncio.sleep(0.01)

    return sql_store(
        database, PostgresqlWakeups(database, listens_at, origin=database.origin, pause=at_once, **options)
    )


@asynccontextmanager
async def running(store: Store) -> AsyncIterator[Process]:
    process = Process(store)
    await store.open()
    try:
        async with store.wakeups.listening(process.on_wakeup, process.on_gap):
            yield process
    finally:
        await store.close()


async def notify(store: Store, *wakeups: Wakeup) -> None:
    """Commit a transaction that has something to tell."""
    database: Any = store.changes

    async def tell(transaction: Transaction) -> None:
        for wakeup in wakeups:
            await transaction.notify(wakeup)

    await database._database.write(tell)


def listener_pids(url: str) -> list[int]:
    """Return the backends that listen to the channel of this schema."""
    [(channel,)] = postgresql_server.rows_of(CHANNEL, url=url)
    query = f"SELECT pid FROM pg_stat_activity WHERE query = 'LISTEN \"{channel}\"'"  # noqa: S608 - our own text
    return [pid for (pid,) in postgresql_server.rows_of(query, url=url)]


def end_listeners(url: str) -> None:
    """End the connections that listen for this schema, as an administrator would."""
    for pid in listener_pids(url):
        postgresql_server.execute(f"SELECT pg_terminate_backend({pid})")
