"""Connections between two requests: closed when they were idle for too long, by a timer that outlives the requests.

uvicorn arms a timer behind each answer and cancels it at the next request, which takes more time than all else that
happens there. Here the end of an answer is noted, and a timer that is due looks how long ago that was (record 0091).

uvicorn does not promise to keep what is overridden here. `pyproject.toml` names the releases for which it was seen to
work.
"""

from __future__ import annotations

import asyncio

from gatepost.listening.framing import FramedConnection


class IdleConnection(FramedConnection):
    """uvicorn's connection, with one timer for the time between requests."""

    idle_since: float | None = None
    """By the loop's clock; None while a request is under way, and before the first one."""
    _idle_timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Go on behind an answer as uvicorn does, but for its timer."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        else:
            self.begin_idling()

    def begin_idling(self) -> None:
        """Note that no request is under way from now on."""
        self.idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._look)

    def _unset_keepalive_if_required(self) -> None:
        """Note that a request is under way; as uvicorn calls it."""
        self.idle_since = None

    def _look(self) -> None:
        self._idle_timer = None
        if self.idle_since is None:
            return  # the end of the next answer arms it again
        left = self.idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._look)
        else:
            self.timeout_keep_alive_handler()
