"""Accepting connections at a listener that several processes share: whoever has the fewest takes the next one.

The kernel wakes all of them for a new connection, and the quickest takes it: measured with 8 connections and two
workers, one of them often had all. With `SO_REUSEPORT` the kernel draws lots, so that few connections are shared out
badly as well, and what is queued at a worker waits for as long as that one is stuck (record 0077).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import mmap
import os
import socket
import tempfile
from collections.abc import Callable
from typing import Final

_TURN_SECONDS: Final = 0.002
"""For which a worker leaves a new connection to those that have fewer."""
_AT_ONCE: Final = 8
"""So many it takes after that: where the others do not come to it, nobody waits for long."""
_PAUSE_SECONDS: Final = 1.0
"""Without a file descriptor left nothing can be accepted; asyncio waits as long."""
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_TAKES_NONE: Final = 1 << 40
"""The count of a worker that accepts nothing; no other one waits for it."""
_BYTES: Final = 8

logger = logging.getLogger("gatepost.web")


class ConnectionCounts:
    """How many connections each worker has, in memory that all of them share.

    The numbers are hints. A worker writes its own and reads those of the others, without a lock.

    Args:
        file: the descriptor of what `new_counts` made.
        slots: how many numbers there are.
    """

    def __init__(self, file: int, slots: int) -> None:
        self._all = memoryview(mmap.mmap(file, slots * _BYTES)).cast("q")

    def begin(self, slot: int) -> None:
        """Count a worker from 0: it accepts connections from now on."""
        self._all[slot] = 0

    def end(self, slot: int) -> None:
        """Have nobody wait for a worker: it accepts nothing."""
        self._all[slot] = _TAKES_NONE

    def add(self, slot: int, connections: int) -> None:
        """Add to the number of a worker; less than 0 takes away."""
        self._all[slot] += connections

    def others_have_fewer(self, slot: int) -> bool:
        """Say whether another worker that accepts connections has fewer of them."""
        return min(self._all) < self._all[slot]


def new_counts(slots: int) -> int:
    """Return the descriptor of memory for `slots` numbers, in which nobody accepts anything yet."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("gatepost-workers")
    else:  # pragma: no cover - macOS
        with tempfile.TemporaryFile() as made:
            file = os.dup(made.fileno())
    os.write(file, _TAKES_NONE.to_bytes(_BYTES, "little") * slots)
    return file


class SharedListener:
    """Accepts connections at a listener that other processes have, too. To uvicorn it is a server of asyncio's.

    Args:
        listener: what is listened on.
        counts: says who has how many.
        slot: the number of this worker there.
        make_protocol: makes what serves a connection; it counts the connection out when that is over.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        counts: ConnectionCounts,
        slot: int,
        make_protocol: Callable[[], asyncio.Protocol],
    ) -> None:
        listener.settimeout(0)
        self._listener = listener
        self._counts, self._slot = counts, slot
        self._make_protocol = make_protocol
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._beginning: set[asyncio.Task[None]] = set()
        self._loop.add_reader(listener, self._take_turn)

    def is_serving(self) -> bool:
        """Say whether connections are accepted."""
        return not self._is_closed

    def close(self) -> None:
        """Accept nothing any more; the listener stays open for the others."""
        if self._is_closed:
            return
        self._is_closed = True
        self._counts.end(self._slot)
        if self._pause is None:
            self._loop.remove_reader(self._listener)
        else:
            self._pause.cancel()

    async def wait_closed(self) -> None:
        """Wait until what was accepted has its protocol."""
        await asyncio.gather(*self._beginning)

    def _take_turn(self) -> None:
        if self._counts.others_have_fewer(self._slot):
            self._wait(_TURN_SECONDS)
        elif not self._accept(1):
            self._wait(_PAUSE_SECONDS)

    def _wait(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._pause = self._loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        if self._accept(_AT_ONCE):
            self._pause = None
            self._loop.add_reader(self._listener, self._take_turn)
        else:
            self._pause = self._loop.call_later(_PAUSE_SECONDS, self._go_on)

    def _accept(self, most: int) -> bool:
        """Accept up to `most` connections; False when nothing can be accepted for a while."""
        for _ in range(most):
            try:
                connection, _peer = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                break  # another worker has it, or its client has gone
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                logger.error("no connection can be accepted: %s", error.strerror)  # noqa: TRY400 - the line says all
                return False
            connection.settimeout(0)
            if connection.family != socket.AF_UNIX:
                # asyncio does so for its own servers, and here for those that say that they are TCP, which none does.
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._counts.add(self._slot, 1)
            beginning = self._loop.create_task(self._begin(connection))
            self._beginning.add(beginning)
            beginning.add_done_callback(self._beginning.discard)
        return True

    async def _begin(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, connection)
        except OSError:
            # It has gone before it had a protocol that would count it out.
            self._counts.add(self._slot, -1)
            connection.close()
