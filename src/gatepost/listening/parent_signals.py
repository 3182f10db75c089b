"""The signals that the parent of workers hears, one after the other, between two steps of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections import deque
from collections.abc import Iterator
from types import FrameType
from typing import Final

_HEARD: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_READ_BYTES: Final = 4096


class HeardSignals:
    """What was heard and not asked about yet.

    Args:
        socket: becomes readable when a signal comes.
    """

    def __init__(self, socket: socket.socket) -> None:
        self.socket = socket
        self._heard: deque[int] = deque()
        hangs_on = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # as under nohup
        self._terminals = frozenset[int]() if hangs_on else _terminals()

    def note(self, number: int, _frame: FrameType | None) -> None:
        """Be the handler of a signal."""
        self._heard.append(number)

    def heard(self) -> Iterator[int]:
        """Yield each signal once, in their order."""
        with contextlib.suppress(BlockingIOError):
            while self.socket.recv(_READ_BYTES):
                pass
        while self._heard:
            yield self._heard.popleft()

    def terminal_was_closed(self) -> bool:
        """Say whether the terminal is gone to which this process writes, and which it is not to outlive."""
        return not self._terminals <= _terminals()


@contextlib.contextmanager
def hearing_signals() -> Iterator[HeardSignals]:
    """Note SIGTERM, SIGINT, SIGHUP and SIGCHLD for as long as the context lasts; in the main thread."""
    reading, writing = socket.socketpair()
    with reading, writing:
        reading.settimeout(0)
        writing.settimeout(0)
        signals = HeardSignals(reading)
        woken = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        before = {number: signal.signal(number, signals.note) for number in _HEARD}
        try:
            yield signals
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(woken)


def _terminals() -> frozenset[int]:
    """Return which of standard output and standard error are a terminal; one that was closed is none."""
    return frozenset(filter(os.isatty, (1, 2)))
