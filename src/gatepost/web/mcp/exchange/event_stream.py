"""An answer that is a stream of events (WHATWG HTML, "Server-sent events").

MCP 2026-07-28 basic/transports/streamable-http, "Receiving Messages".
"""

from __future__ import annotations

import asyncio
from dataclasses import field
from typing import Final

from starlette.types import Send

from gatepost.late_dataclass import dataclass
from gatepost.web.mcp.exchange.answers import FastPath
from gatepost.web.mcp.exchange.ordered_writer import OrderedWriter

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


@dataclass(slots=True, eq=False, repr=False)
class EventResponse:
    """The HTTP response of a stream of events. Its head goes out with the first bytes.

    One write is under way at a time, so that what lies between here and the socket is never entered twice.
    """

    _send: Send
    _fast_path: FastPath | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _is_started: bool = field(default=False, init=False)
    _is_ended: bool = field(default=False, init=False)

    async def write(self, data: bytes) -> None:
        """Send events or comments; nothing after the end."""
        async with self._lock:
            if not self._is_ended:
                if not self._is_started:
                    await self._start()
                await self._send({"type": "http.response.body", "body": data, "more_body": True})

    def write_at_once(self, data: bytes) -> bool:
        """Do as `write` where that need not wait; False, and nothing is sent, where it has to."""
        is_idle = self._is_started and not self._is_ended and not self._lock.locked()
        return is_idle and self._fast_path is not None and self._fast_path.write(self._send, data)

    async def keep_alive(self) -> None:
        """Send a comment."""
        await self.write(KEEP_ALIVE)

    async def end(self) -> None:
        """End the response."""
        async with self._lock:
            if not self._is_ended:
                if not self._is_started:
                    await self._start()
                self._is_ended = True
                await self._send({"type": "http.response.body", "body": b""})

    async def _start(self) -> None:
        self._is_started = True
        await self._send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})


@dataclass(slots=True, eq=False, repr=False)
class EventStream(OrderedWriter):
    """A stream that nobody resumes: its messages are sent once, and it ends with its response."""

    _response: EventResponse

    async def keep_alive(self) -> None:
        await self._response.keep_alive()

    async def finish(self, message: bytes | None) -> None:
        # Not super(): a dataclass with slots is another class than the one whose body this is.
        await OrderedWriter.finish(self, message)
        await self._response.end()

    async def _write(self, message: bytes) -> None:
        await self._response.write(event(message))

    def _write_at_once(self, message: bytes) -> bool:
        return self._response.write_at_once(event(message))
