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

    While more is in the buffer than should be (64 KiB), the client has to take `least_bytes` in any `look_seconds`.
    Connections that keep up cost nothing.
    """

    look_seconds: ClassVar[float] = 30.0
    least_bytes: ClassVar[int] = 8 * 1024
    """Slower than any line that people use, and faster than what would make waiting worth an attacker's while."""

    _left = 0
    _look: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """Take notice that the buffer is full."""
        super().pause_writing()
        self._look_later()

    def resume_writing(self) -> None:
        """Take notice that there is room again."""
        self._stop_looking()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take notice that the connection is over."""
        self._stop_looking()
        super().connection_lost(exc)

    def _look_later(self) -> None:
        self._stop_looking()
        self._left = self.transport.get_write_buffer_size()
        self._look = self.loop.call_later(self.look_seconds, self._look_now)

    def _look_now(self) -> None:
        if self._left - self.transport.get_write_buffer_size() >= self.least_bytes:
            self._look_later()
            return
        logger.info("a client that does not read was cut off")
        # A close would wait for the client to take the rest.
        self.transport.abort()

    def _stop_looking(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None
