"""The stream that answers one request of a session: its events are kept, so that it can be taken up again.

2025-11-25 basic/transports, "Sending Messages to the Server" and "Resumability and Redelivery". The stream outlives the
HTTP response that it is attached to: when the client disconnects, or the response is closed early, events are still
kept, and a GET with `Last-Event-ID` gets them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.mcp import McpStreamStore
from gatepost.web.mcp.exchange.event_stream import EventResponse, event
from gatepost.web.mcp.exchange.keep_alive import KeepAlive
from gatepost.web.mcp.exchange.ordered_writer import OrderedWriter
from gatepost.web.mcp.sessions.waiters import Waiters

RETRY_MILLISECONDS: Final = 1000
"""What a client is told to wait before it polls for the rest."""
MOST_EVENTS: Final = 1000
"""How many events of one stream are kept. Later ones are sent once, without an id; the result is always kept."""
MOST_EVENT_BYTES: Final = 4 * 1024 * 1024
"""How many bytes of one stream are kept, besides its result; later events are sent once, likewise."""

logger = logging.getLogger("gatepost.mcp")


def event_id(stream_id: str, number: int) -> str:
    """Return the id of an event, which names its stream."""
    return f"{stream_id}.{number}"


def position(last_event_id: bytes) -> tuple[str, int] | None:
    """Return the stream and the number that an event id names; None when it is none of ours."""
    stream_id, dot, number = last_event_id.decode("latin-1").rpartition(".")
    if not stream_id or not dot or not (number.isascii() and number.isdigit()) or len(number) > len("999999999"):
        return None
    return stream_id, int(number)


def numbered_event(stream_id: str, number: int, message: bytes) -> bytes:
    """Return a message as an event that the client can come back with; an empty message gives empty data."""
    return f"id: {event_id(stream_id, number)}\n".encode() + event(message)


class SessionStream(OrderedWriter):
    """The stream of one request.

    Args:
        key: the fingerprint of its session.
        stream_id: unique within the session.
        response: the HTTP response of the request.
        streams: where its events are kept.
        waiters: those who have resumed the stream wait there.
        is_primed: whether the client knows events without data, and so the stream may be closed early.
        keep_alive: keeps the response alive.
    """

    __slots__ = (
        "_bytes",
        "_count",
        "_is_primed",
        "_keep_alive",
        "_response",
        "_stop_keep_alive",
        "_streams",
        "_waiters",
        "is_attached",
        "kept_bytes",
        "key",
        "stream_id",
    )

    def __init__(
        self,
        *,
        key: bytes,
        stream_id: str,
        response: EventResponse,
        streams: McpStreamStore,
        waiters: Waiters,
        is_primed: bool,
        keep_alive: KeepAlive,
    ) -> None:
        super().__init__()
        self.key = key
        self.stream_id = stream_id
        self._response = response
        self._streams = streams
        self._waiters = waiters
        self._is_primed = is_primed
        self._keep_alive = keep_alive
        self.is_attached = True
        """Whether the HTTP response still carries it."""
        self._count = 0
        self._bytes = 0
        self.kept_bytes = 0
        """How many bytes of it are in the store."""
        self._stop_keep_alive: Callable[[], None] | None = None

    async def close_response(self) -> None:
        """End the HTTP response; the stream goes on without it."""
        await self._flush()
        async with self._lock:
            await self._begin()
            if self.is_attached:
                await self._response.write(b"retry: %d\n\n" % RETRY_MILLISECONDS)
            await self._detach()

    async def detach(self) -> None:
        """End the HTTP response, because the client has resumed the stream with another one."""
        async with self._lock:
            await self._detach()

    async def finish(self, message: bytes | None) -> None:
        """Send the last message, if there is one, and end stream and response."""
        # A task that the request left behind goes on; what it sends comes too late (basic/utilities/progress).
        await super().finish(None)
        async with self._lock:
            if message is not None:
                await self._write(message, is_last=True)
            try:
                await self._streams.finish_stream(self.key, self.stream_id)
            except StoreUnavailable:
                logger.warning("the end of a stream could not be kept")
            self._waiters.wake((self.key, self.stream_id))
            await self._detach()

    async def _begin(self) -> None:
        if self._stop_keep_alive is None:
            self._stop_keep_alive = self._keep_alive.add(self._response)
            if self._is_primed:
                await self._keep_and_send(b"")

    async def _write(self, message: bytes, *, is_last: bool = False) -> None:
        await self._begin()
        await self._keep_and_send(message, is_last=is_last)

    async def _keep_and_send(self, message: bytes, *, is_last: bool = False) -> None:
        self._count += 1
        self._bytes += len(message)
        number = 0
        if is_last or (self._count <= MOST_EVENTS and self._bytes <= MOST_EVENT_BYTES):
            try:
                number = await self._streams.append_event(self.key, self.stream_id, message)
            except StoreUnavailable:
                # The client that is there gets it all the same; one that comes back will miss it.
                logger.warning("an event could not be kept")
            self.kept_bytes += len(message) if number else 0
        self._waiters.wake((self.key, self.stream_id))
        if not self.is_attached:
            return
        if number:
            await self._response.write(numbered_event(self.stream_id, number, message))
        elif message:
            await self._response.write(event(message))

    async def _detach(self) -> None:
        if self._stop_keep_alive is not None:
            self._stop_keep_alive()
        if self.is_attached:
            self.is_attached = False
            await self._response.end()
