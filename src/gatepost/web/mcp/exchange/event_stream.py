"""An answer that becomes a stream of events once there is something to say before the result.

MCP 2026-07-28 basic/transports/streamable-http, "Receiving Messages"; WHATWG HTML, "Server-sent events".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from starlette.types import Send

from gatepost.protocol.messages import notification
from gatepost.web.mcp.exchange.answers import Answer
from gatepost.web.mcp.exchange.send_queue import Outgoing

logger = logging.getLogger("gatepost.mcp")

KEEP_ALIVE: Final = b":\r\n\r\n"
"""A comment, which clients pass over: it keeps what lies between from closing a connection that is quiet."""

_HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    # Proxies that collect what they pass on would hold events back.
    (b"x-accel-buffering", b"no"),
)


def event(message: bytes) -> bytes:
    """Return a JSON-RPC message as one event; JSON has no line ends outside of its texts, and escapes them there."""
    return b"data: " + message + b"\n\n"


class ResponseStream:
    """The line of one HTTP request. Until the first event it is nothing but an object.

    Events go out in the order in which they are given, whoever gives them. One write is under way at a time, so that
    what lies between here and the socket is never entered twice.
    """

    __slots__ = (
        "_flushing",
        "_is_finished",
        "_is_started",
        "_loop",
        "_send",
        "_waiting",
        "_writing",
        "is_cancelled",
        "is_open",
    )

    _is_finished: bool
    _is_started: bool
    _waiting: Outgoing
    _writing: asyncio.Lock
    _flushing: asyncio.Task[None] | None

    def __init__(self, send: Send) -> None:
        self._send = send
        self._loop = asyncio.get_running_loop()
        self.is_open = False
        """Whether the answer has become a stream. Only then the other attributes are there."""
        self.is_cancelled = False
        """See `CallerLine.is_cancelled`. Whoever cancels the request says so; then nothing is told any more."""

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Send a notification; see `Line.notify`."""
        data = event(notification(method, params))
        if not self.is_cancelled:
            await self.write(data)

    def post(self, method: str, params: Mapping[str, Any]) -> None:
        """Send a notification soon, from any thread; see `Line.post`."""
        data = event(notification(method, params))
        # Worker threads have no running loop. Their posts arrive in order, and before their result does.
        if asyncio._get_running_loop() is self._loop:  # noqa: SLF001 - documented; the public one raises instead
            self._post(data)
        else:
            self._loop.call_soon_threadsafe(self._post, data)

    async def write(self, data: bytes) -> None:
        """Send bytes that are an event already, or a comment."""
        self._open()
        if not self._is_finished:
            self._waiting.put(data)
        await self._flush()

    async def finish(self, answer: Answer) -> None:
        """Send the answer as the last event, and end the stream. It is too late for its status and headers.

        A request that was cancelled gets no answer.
        """
        body = answer[1]
        if body is not None and not self.is_cancelled:
            self._open()
            if not self._is_finished:
                self._waiting.put(event(body))
        self._is_finished = True
        await self._flush()
        await self._send({"type": "http.response.body", "body": b""})

    def _open(self) -> None:
        if not self.is_open:
            self.is_open = True
            self._is_started = self._is_finished = False
            self._waiting = Outgoing()
            self._writing = asyncio.Lock()
            self._flushing = None

    def _post(self, data: bytes) -> None:
        if self.is_cancelled:
            return
        self._open()
        if not self._is_finished:
            self._waiting.post(data)
        if self._flushing is None:
            self._flushing = self._loop.create_task(self._flush_posted())

    async def _flush_posted(self) -> None:
        try:
            await self._flush()
        except Exception as error:  # noqa: BLE001 - the client is gone, which the request itself finds out
            logger.debug("an event could not be sent: %s", type(error).__name__)
        finally:
            self._flushing = None

    async def _flush(self) -> None:
        async with self._writing:
            if not self._is_started:
                self._is_started = True
                await self._send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            while self._waiting:
                await self._send({"type": "http.response.body", "body": self._waiting.take(), "more_body": True})
