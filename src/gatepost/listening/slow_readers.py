"""Connections whose clients do not read what they are sent: they are cut.

What a client does not take is kept in the connection's buffer, and whoever sends waits until there is room; without an
end to that, anybody could have thousands of answers kept in memory by opening streams and reading nothing. ASGI has no
way to give a connection up, so this is done where the connection is. To everything above, the client has gone away.
"""

from __future__ import annotations

import asyncio
import logging
from typing import ClassVar

from gatepost.listening.slow_senders import TimedConnection

logger = logging.getLogger("gatepost.web")


class WatchedConnection(TimedConnection):
    """uvicorn's connection, with an end to waiting, for requests too.

    While more is in the buffer than should be (64 KiB), the client has to take `least_bytes` in any `check_seconds`.
    Connections that keep up cost nothing.
    """

    check_seconds: ClassVar[float] = 30.0
    least_bytes: ClassVar[int] = 8 * 1024
    """Slower than any line that people use, and faster than what would make waiting worth an attacker's while."""

    _buffered = 0
    """Bytes at the last check."""
    _check: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """Begin to check: the buffer is full."""
        super().pause_writing()
        self._check_later()

    def resume_writing(self) -> None:
        """Stop checking: there is room again."""
        self._stop_checking()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop checking."""
        self._stop_checking()
        super().connection_lost(exc)

    def _check_later(self) -> None:
        self._stop_checking()
        self._buffered = self.transport.get_write_buffer_size()
        self._check = self.loop.call_later(self.check_seconds, self._check_now)

    def _check_now(self) -> None:
        if self._buffered - self.transport.get_write_buffer_size() >= self.least_bytes:
            self._check_later()
            return
        logger.info("a client that does not read was cut off")
        # A close would wait for the client to take the rest.
        self.transport.abort()

    def _stop_checking(self) -> None:
        if self._check is not None:
            self._check.cancel()
            self._check = None
