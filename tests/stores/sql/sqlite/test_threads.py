"""The thread that owns a connection: batches, order, end, and callers that come and go."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gatepost.stores.conformance.records import client
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.sql.database import Operation, Transaction
from gatepost.stores.sql.sqlite import threads
from gatepost.stores.sql.sqlite.database import SqliteDatabase
from gatepost.stores.sql.sqlite.threads import Answer, Answered, DatabaseThread
from gatepost.stores.sql.store import sql_store
from tests.patience import PATIENCE


async def nothing(_transaction: Transaction) -> None:
    """An operation; `Recorder` never runs it."""


class Recorder:
    """Records the batches; holds the first until told to go on."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.began = threading.Event()
        self.go_on = threading.Event()

    def run(self, _connection: sqlite3.Connection, operations: Sequence[Operation[Any]]) -> Sequence[Answer]:
        """Run a batch; each answer is how many batches there have been."""
        self.batches.append(len(operations))
        self.began.set()
        assert self.go_on.wait(PATIENCE)
        return [Answered(len(self.batches))] * len(operations)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def thread(recorder: Recorder) -> AsyncIterator[DatabaseThread]:
    """A started thread that is in the middle of its first batch."""
    thread = DatabaseThread("test", connect=lambda: sqlite3.connect(":memory:"), run_batch=recorder.run)
    await thread.start()
    first = asyncio.ensure_future(thread.ask(nothing))
    assert await asyncio.to_thread(recorder.began.wait, PATIENCE)
    yield thread
    recorder.go_on.set()
    await first
    await thread.stop()


async def queued(thread: DatabaseThread, count: int) -> Sequence[asyncio.Future[Any]]:
    """Ask that often without waiting for the answers."""
    waiting = [asyncio.ensure_future(thread.ask(nothing)) for _ in range(count)]
    await asyncio.sleep(0)
    return waiting


async def test_what_has_queued_up_is_one_batch(thread: DatabaseThread, recorder: Recorder) -> None:
    waiting = await queued(thread, 5)
    recorder.go_on.set()

    assert await asyncio.gather(*waiting) == [2] * 5
    assert recorder.batches == [1, 5]


async def test_a_batch_is_bounded(thread: DatabaseThread, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "LARGEST_BATCH", 2)
    waiting = await queued(thread, 5)
    recorder.go_on.set()

    assert await asyncio.gather(*waiting) == [2, 2, 3, 3, 4]


async def test_stopping_answers_what_is_queued_and_refuses_what_comes_later(
    thread: DatabaseThread, recorder: Recorder
) -> None:
    waiting = await queued(thread, 3)
    stopping = asyncio.ensure_future(thread.stop())
    await asyncio.sleep(0)

    with pytest.raises(StoreUnavailable, match="the store is closed"):
        await thread.ask(nothing)
    recorder.go_on.set()

    assert await asyncio.gather(*waiting) == [2] * 3
    await stopping


async def test_a_start_that_is_cancelled_leaves_no_thread_behind(recorder: Recorder) -> None:
    connecting, go_on = threading.Event(), threading.Event()

    def connect() -> sqlite3.Connection:
        connecting.set()
        assert go_on.wait(PATIENCE)
        return sqlite3.connect(":memory:")

    thread = DatabaseThread("gatepost-cancelled-start", connect=connect, run_batch=recorder.run)
    starting = asyncio.ensure_future(thread.start())
    assert await asyncio.to_thread(connecting.wait, PATIENCE)
    (started,) = [running for running in threading.enumerate() if running.name == "gatepost-cancelled-start"]

    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    go_on.set()

    await asyncio.to_thread(started.join, 10)
    assert not started.is_alive()
    with pytest.raises(StoreUnavailable, match="the store is closed"):
        await thread.ask(nothing)


def test_an_event_loop_that_ends_early_does_not_disturb_the_next(tmp_path: Path) -> None:
    """A caller's loop may be closed before its answer comes; the operation happens and the thread lives on."""
    database = SqliteDatabase(tmp_path / "gatepost.db", busy_timeout=5)
    store = sql_store(database)
    held, release = threading.Event(), threading.Event()

    async def hold(transaction: Transaction) -> None:
        held.set()
        assert release.wait(PATIENCE)
        await transaction.run("DELETE FROM clients")

    async def leave_early() -> None:
        await store.open()
        await store.clients.register_client(client())
        asking = asyncio.ensure_future(database.write(hold))
        assert await asyncio.to_thread(held.wait, PATIENCE)
        asking.cancel()

    async def come_later() -> None:
        await store.clients.register_client(client("client-2"))
        assert await store.clients.find_client("client-1") is None
        await store.close()

    asyncio.run(leave_early())
    release.set()
    asyncio.run(come_later())
