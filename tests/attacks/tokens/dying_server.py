"""A target whose server kills itself before one of its writes: the one that the environment variable DIES_AT counts to.

Counted from when the file that ARMED_BY names is there: every statement that writes, every commit, and every time that
the thread which has committed is about to say so. So there is a death before each write, one between the last write and
its commit, and one between the commit and the answer.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gatepost.stores.sql.sqlite import connections, database, threads
from tests.end_to_end.sample_server import server

__all__ = ["server"]

_ARMED_BY = Path(os.environ["ARMED_BY"])
_DIES_AT = int(os.environ["DIES_AT"])
_WRITES = ("INSERT", "UPDATE", "DELETE", "COMMIT")
_open_writer: Callable[..., sqlite3.Connection] = connections.open_writer
_resolve: Callable[..., None] = threads._resolve
_seen = 0


def _count() -> None:
    global _seen  # noqa: PLW0603 - one process, one count
    if _ARMED_BY.exists():
        _seen += 1
        if _seen == _DIES_AT:
            os.kill(os.getpid(), signal.SIGKILL)


def _trace(sql: str) -> None:
    if sql.lstrip().upper().startswith(_WRITES):
        _count()


def _opened(*arguments: Any, **options: Any) -> sqlite3.Connection:
    connection = _open_writer(*arguments, **options)
    connection.set_trace_callback(_trace)
    return connection


def _resolved(answers: Any) -> None:
    if threading.current_thread().name == "gatepost-store-writer":
        _count()
    _resolve(answers)


vars(database)["open_writer"] = _opened  # where the name is looked up; it is exported from elsewhere
threads._resolve = _resolved
