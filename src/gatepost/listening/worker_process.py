"""What the parent of workers knows of one of them."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from typing import Final

from gatepost.listening.worker import SAYS_READY, longest_stop

_READ_BYTES: Final = 4096
_LAST_SECONDS: Final = 5.0


class WorkerProcess:
    """A worker, from the parent's side.

    Args:
        process: its process.
        control: the parent's end of the line to it.
        slot: its number among the connection counts.
        now: the monotonic clock.
    """

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket, slot: int, now: float) -> None:
        control.settimeout(0)
        self.process, self.control, self.slot = process, control, slot
        self.ready_at: float | None = None
        self.heard_at = now
        """When it said anything last."""
        self.kill_at: float | None = None
        """When it is ended by force."""
        self.is_stuck = False
        self.is_silent = False
        """Whether its end of the line is closed."""
        self.timeout = 0
        """After how many seconds without a word it counts as stuck; 0 for never."""
        self._longest_stop = longest_stop(0)
        self._said = b""

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    @property
    def is_ready(self) -> bool:
        """Whether it serves, or has served."""
        return self.ready_at is not None

    def read(self) -> bool:
        """Hear what it says; True when that is that it is ready."""
        before = self.ready_at
        with contextlib.suppress(BlockingIOError):
            while not self.is_silent:
                try:
                    said = self.control.recv(_READ_BYTES)
                except ConnectionError:
                    said = b""
                self.is_silent = not said
                self._said += said
                self.heard_at = time.monotonic()
        *lines, self._said = self._said.split(b"\n")
        for line in lines:
            if line.startswith(SAYS_READY):
                _word, stop, timeout = line.split()
                self._longest_stop, self.timeout = int(stop), int(timeout)
                self.ready_at = self.heard_at
        return before is None and self.is_ready

    def due_at(self) -> float | None:
        """Return when something has to be done about it unless it says something; None for never."""
        if self.kill_at is not None:
            return self.kill_at
        return self.heard_at + self.timeout if self.is_ready and self.timeout else None

    def stop(self, now: float) -> None:
        """Tell it to stop; it has as long as it said for that."""
        self.kill_at = now + self._longest_stop
        self.send(signal.SIGTERM)

    def kill(self) -> None:
        """End it by force."""
        self.kill_at = time.monotonic() + _LAST_SECONDS
        self.send(signal.SIGKILL)

    def send(self, which: signal.Signals) -> None:
        """Send it a signal; one that has ended gets none."""
        self.process.send_signal(which)

    def end(self) -> None:
        """Wait for its end for a moment, then end it by force."""
        try:
            self.process.wait(_LAST_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.control.close()
