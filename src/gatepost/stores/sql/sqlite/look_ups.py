"""Look-ups on the thread that asks: to read a few warm pages takes less time than to wake a thread that does it.

What would make the caller wait is left to the reader's thread: a lock, a connection in use, and everything for a while
after look-ups that took long, because their pages had to come from a disk. One that takes long is no sign of that: it
may have been this thread's turn to let others use the processor.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gatepost.stores.sql.database import ELSEWHERE, Elsewhere, Operation, T
from gatepost.stores.sql.sqlite.connections import open_reader
from gatepost.stores.sql.sqlite.transaction import SqliteTransaction, run_to_end

SLOW_SECONDS: Final = 0.002
"""A look-up of warm pages takes a hundredth of it."""
PAUSE_SECONDS: Final = 1.0
"""For so long the reader's thread has all look-ups after two slow ones in a row."""


class LookUps:
    """A connection for look-ups; each of their statements is one snapshot.

    Args:
        path: the file.
        clock: in seconds; never goes back.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.perf_counter) -> None:
        self._path, self._clock = path, clock
        self._connection: sqlite3.Connection | None = None
        self._transaction: SqliteTransaction | None = None
        # Event loops of several threads may share a store.
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._was_slow = False

    def open(self) -> None:
        """Connect; on any thread. Raises `StoreUnavailable`."""
        # It waits for no lock: whoever finds one goes elsewhere.
        connection = open_reader(self._path, busy_timeout=0, check_same_thread=False)
        with self._lock:
            self._connection, self._transaction = connection, SqliteTransaction(connection)

    def close(self) -> None:
        """Disconnect; closing twice is fine."""
        with self._lock:
            connection, self._connection, self._transaction = self._connection, None, None
        if connection is not None:
            connection.close()

    def run(self, operation: Operation[T]) -> T | Elsewhere:
        """Run a look-up; `ELSEWHERE` where it has to be run by the reader's thread, which also explains what fails."""
        began = self._clock()
        if began < self._not_before or not self._lock.acquire(blocking=False):
            return ELSEWHERE
        try:
            return ELSEWHERE if self._transaction is None else run_to_end(operation(self._transaction))
        except sqlite3.Error:
            return ELSEWHERE
        finally:
            self._lock.release()
            is_slow = (ended := self._clock()) - began > SLOW_SECONDS
            if is_slow and self._was_slow:
                self._not_before = ended + PAUSE_SECONDS
            self._was_slow = is_slow
