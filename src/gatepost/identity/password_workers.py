"""The threads that hash passwords, and the short queue before them.

A hash takes 64 MiB and a good part of a second on purpose. So few run at once, only so many wait, and one that waits
for a caller who has gone is never begun: a flood of logins costs those who come during it a page that says "try again",
and no memory.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore
from typing import Final, TypeVar

Answer = TypeVar("Answer")

AT_ONCE: Final = 2
WAITING: Final = 32


class PasswordWorkersBusy(Exception):
    """Too many passwords wait to be hashed; answered 503."""


class PasswordWorkers:
    """`at_once` threads, and a queue in which `waiting` jobs may wait for one."""

    def __init__(self, *, at_once: int = AT_ONCE, waiting: int = WAITING) -> None:
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="gatepost-passwords")
        self._places = Semaphore(at_once + waiting)

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Run `work` in a thread and return its answer; cancelled before it began, it never begins.

        Raises:
            PasswordWorkersBusy: too many wait already.
        """
        if not self._places.acquire(blocking=False):
            raise PasswordWorkersBusy
        job = self._threads.submit(work)
        # Whether it ended, failed or was cancelled in the queue. One that runs keeps its place to its end, also when
        # its caller has gone: it keeps its memory too.
        job.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(job)


@functools.cache
def password_workers() -> PasswordWorkers:
    """Return the workers of this process; one set for all, because memory is the process's."""
    return PasswordWorkers()
