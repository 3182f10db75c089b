"""A thread that owns one connection and answers queued operations in batches."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Generic, TypeAlias

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.errors import StoreOverloaded, StoreUnavailable
from gatepost.stores.sql.database import Operation, T

LARGEST_BATCH: Final = 128
"""Operations in one batch: bounds how long the first of them waits for the last, and how long a lock is held."""

LONGEST_QUEUE: Final = 8192
"""Operations that may wait. More would mean that the disk has stopped answering; then a quick no beats a slow one."""


@dataclass(frozen=True, slots=True)
class Answered(Generic[T]):
    """An operation's result."""

    result: T


@dataclass(frozen=True, slots=True)
class Failed:
    """What an operation raised, or why it could not run."""

    error: Exception


Answer: TypeAlias = Answered[Any] | Failed

Connect: TypeAlias = Callable[[], sqlite3.Connection]
RunBatch: TypeAlias = Callable[[sqlite3.Connection, Sequence[Operation[Any]]], Sequence[Answer]]
"""Runs a batch on the connection and returns one answer for each operation, in order. Never raises."""


_Job: TypeAlias = tuple[Operation[Any], asyncio.Future[Any]]
_Jobs: TypeAlias = queue.SimpleQueue[_Job | None]


class DatabaseThread:
    """Owns one connection. Its methods are called from event loops; everything else happens on the thread."""

    def __init__(
        self,
        name: str,
        *,
        connect: Connect,
        run_batch: RunBatch,
        idle_seconds: float | None = None,
        when_idle: Callable[[sqlite3.Connection], None] = lambda _: None,
    ) -> None:
        """Args beside those of a thread: `when_idle` runs on it whenever it got no operation for `idle_seconds`."""
        self._name = name
        self._connect = connect
        self._run_batch = run_batch
        self._idle_seconds = idle_seconds
        self._when_idle = when_idle
        self._jobs: _Jobs = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        # Guards both together: nothing is ever queued behind the None that ends the thread.
        self._lock = threading.Lock()

    async def start(self) -> None:
        """Start the thread and connect. Raises whatever connecting raises; the thread has ended then."""
        connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        jobs: _Jobs = queue.SimpleQueue()
        thread = threading.Thread(target=self._work, args=(jobs, connected), name=self._name, daemon=True)
        thread.start()
        try:
            await connected
        except BaseException:
            jobs.put(None)  # a caller that is cancelled leaves no thread behind
            raise
        with self._lock:
            self._jobs, self._thread = jobs, thread

    async def ask(self, operation: Operation[T]) -> T:
        """Queue an operation and wait for its answer.

        A caller that is cancelled stops waiting. The operation still happens, because it may have happened already.
        """
        caller: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._thread is None:
                raise StoreUnavailable("the store is closed")
            if self._jobs.qsize() >= LONGEST_QUEUE:
                raise StoreOverloaded("the store cannot answer: too many operations are waiting for the disk")
            self._jobs.put((operation, caller))
        return await caller

    async def stop(self) -> None:
        """Finish what is queued, disconnect and end the thread."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None:
                return
            self._jobs.put(None)
        try:
            await asyncio.to_thread(thread.join)
        except RuntimeError:
            thread.join()  # the interpreter ends and starts no more threads; nobody else waits then

    def _work(self, jobs: _Jobs, connected: asyncio.Future[None]) -> None:
        try:
            connection = self._connect()
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to the caller of `start`
            _resolve([(connected, Failed(error))])
            return
        with contextlib.closing(connection):
            _resolve([(connected, Answered(None))])
            while batch := self._next_batch(jobs, connection):
                answers = self._run_batch(connection, [operation for operation, _ in batch])
                _resolve((caller, answer) for (_, caller), answer in zip(batch, answers, strict=True))

    def _next_batch(self, jobs: _Jobs, connection: sqlite3.Connection) -> list[_Job]:
        """Wait for an operation and take what has queued up behind it; empty when the thread is to end."""
        batch: list[_Job] = []
        job = self._next_job(jobs, connection)
        while job is not None:
            batch.append(job)
            if len(batch) == LARGEST_BATCH or jobs.empty():
                return batch
            job = jobs.get()
        if batch:
            jobs.put(None)
        return batch

    def _next_job(self, jobs: _Jobs, connection: sqlite3.Connection) -> _Job | None:
        while True:
            try:
                return jobs.get(timeout=self._idle_seconds)
            except queue.Empty:
                self._when_idle(connection)


def _resolve(answers: Iterable[tuple[asyncio.Future[Any], Answer]]) -> None:
    """Hand the answers over, waking each event loop once."""
    by_loop: defaultdict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Answer]]] = defaultdict(list)
    for caller, answer in answers:
        by_loop[caller.get_loop()].append((caller, answer))
    for loop, mine in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_deliver, mine)


def _deliver(answers: Sequence[tuple[asyncio.Future[Any], Answer]]) -> None:
    for caller, answer in answers:
        if caller.done():  # cancelled
            continue
        if isinstance(answer, Failed):
            caller.set_exception(answer.error)
        else:
            caller.set_result(answer.result)
