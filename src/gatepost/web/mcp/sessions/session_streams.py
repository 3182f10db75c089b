"""The streams that answer requests of a session: their events are kept, so that they can be resumed.

2025-11-25 basic/transports, "Sending Messages to the Server" and "Resumability and Redelivery". A stream outlives the
HTTP response that it is attached to: when the client disconnects, or the response is closed early, events are still
kept, and a GET with `Last-Event-ID` gets them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Collection
from dataclasses import field
from typing import Final

from gatepost.late_dataclass import dataclass
from gatepost.server.calls.waiters import Waiters
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.mcp import McpStreamStore
from gatepost.tokens.opaque import RandomBytes, identifier
from gatepost.web.mcp.exchange.event_stream import KEEP_ALIVE, EventResponse, event
from gatepost.web.mcp.exchange.ordered_writer import OrderedWriter

RETRY_MILLISECONDS: Final = 1000
"""What a client is told to wait before it polls for the rest."""
MOST_EVENTS: Final = 1000
"""How many events of one stream are kept. Later ones are sent once, without an id; the result is always kept."""
MOST_EVENT_BYTES: Final = 4 * 1024 * 1024
"""How many bytes of one stream are kept, besides its result; later events are sent once, likewise."""
KEPT_STREAMS: Final = 16
"""How many streams of one session are kept after their end, for clients that missed it."""
KEPT_BYTES: Final = 16 * 1024 * 1024
"""How many bytes they may have together; the latest is kept in any case."""
_MOST_SESSIONS: Final = 10_000

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


@dataclass(slots=True, kw_only=True)
class RequestStreams:
    """The streams of requests."""

    store: McpStreamStore
    """Where their events are kept."""
    waiters: Waiters
    """Those who have resumed one wait there."""
    random_bytes: RandomBytes
    """Where ids come from."""
    live: dict[tuple[bytes, str], SessionStream] = field(default_factory=dict, init=False)
    """Those whose requests are being served here, by session and id, for who resumes one."""
    _ended: dict[bytes, deque[tuple[str, int]]] = field(default_factory=dict, init=False)
    """Those that ended here, by session, the oldest first, with their bytes."""
    _detaching: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    def open(self, key: bytes, response: EventResponse, *, is_primed: bool) -> SessionStream:
        """Open the stream of a request of the session `key`."""
        stream = SessionStream(self, key, identifier("", self.random_bytes), response, is_primed)
        self.live[key, stream.stream_id] = stream
        return stream

    async def finish(self, stream: SessionStream, message: bytes | None) -> None:
        """Send the last message, if there is one, end the stream, and keep it for a while.

        Of those of its session that are too many or too large, the oldest are forgotten. What ended in another process,
        or before a restart, is forgotten with its session.
        """
        key = stream.key
        self.live.pop((key, stream.stream_id), None)
        await stream.finish(message)
        ended = self._ended.pop(key, None) or deque()
        while len(self._ended) >= _MOST_SESSIONS:
            del self._ended[next(iter(self._ended))]
        self._ended[key] = ended
        ended.append((stream.stream_id, stream.kept_bytes))
        size = sum(size for _, size in ended)
        try:
            while len(ended) > KEPT_STREAMS or (size > KEPT_BYTES and len(ended) > 1):
                oldest, oldest_size = ended.popleft()
                size -= oldest_size
                await self.store.forget_stream(key, oldest)
        except StoreUnavailable:
            logger.warning("an old stream could not be forgotten")

    async def detach_resumed(self, keys: Collection[bytes]) -> None:
        """End the HTTP responses of those streams of these sessions that clients resumed at another process.

        Raises:
            StoreUnavailable: which they are cannot be said.
        """
        attached = {key for (key, _), stream in self.live.items() if key in keys and stream.is_attached}
        if not attached:
            return
        for name in await self.store.attached_streams(tuple(attached)):
            stream = self.live.get(name)
            if stream is not None:
                # On its own: a client that does not read keeps it waiting.
                detaching = asyncio.get_running_loop().create_task(_detach(stream))
                self._detaching.add(detaching)
                detaching.add_done_callback(self._detaching.discard)

    def forget(self, key: bytes) -> None:
        """Forget what ended of a session that is over; in the store it has gone with it."""
        self._ended.pop(key, None)


@dataclass(slots=True, eq=False, repr=False)
class SessionStream(OrderedWriter):
    """The stream of one request."""

    streams: RequestStreams
    """All of them."""
    key: bytes
    """The fingerprint of its session."""
    stream_id: str
    """Unique within the session."""
    response: EventResponse
    is_primed: bool
    """Whether the client knows events without data, and so the stream may be closed early."""
    is_attached: bool = field(default=True, init=False)
    """Whether it still goes out on the HTTP response."""
    kept_bytes: int = field(default=0, init=False)
    """How many bytes of it are in the store."""
    _count: int = field(default=0, init=False)
    _bytes: int = field(default=0, init=False)
    _is_begun: bool = field(default=False, init=False)

    async def close_response(self) -> None:
        """End the HTTP response; the stream goes on without it."""
        await self._flush()
        async with self._lock:
            await self._begin()
            if self.is_attached:
                await self.response.write(b"retry: %d\n\n" % RETRY_MILLISECONDS)
            await self._detach()

    async def detach(self) -> None:
        """End the HTTP response, because the client has resumed the stream with another one."""
        async with self._lock:
            await self._detach()

    async def finish(self, message: bytes | None) -> None:
        """Send the last message, if there is one, and end stream and response."""
        # A task that the request left behind goes on; what it sends comes too late (basic/utilities/progress).
        # Not super(): a dataclass with slots is another class than the one whose body this is.
        await OrderedWriter.finish(self, None)
        async with self._lock:
            if message is not None:
                await self._write(message, is_last=True)
            try:
                await self.streams.store.finish_stream(self.key, self.stream_id)
            except StoreUnavailable:
                logger.warning("the end of a stream could not be kept")
            self.streams.waiters.wake((self.key, self.stream_id))
            await self._detach()

    async def keep_alive(self) -> None:
        async with self._lock:
            if not self.is_attached:
                return
            if self._is_begun or not self.is_primed:
                await self.response.keep_alive()
            await self._begin()

    async def _begin(self) -> None:
        if not self._is_begun:
            self._is_begun = True
            if self.is_primed:
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
                number = await self.streams.store.append_event(self.key, self.stream_id, message)
            except StoreUnavailable:
                # The client that is there gets it all the same; one that comes back will miss it.
                logger.warning("an event could not be kept")
            self.kept_bytes += len(message) if number else 0
        self.streams.waiters.wake((self.key, self.stream_id))
        if not self.is_attached:
            return
        if number:
            await self.response.write(numbered_event(self.stream_id, number, message))
        else:
            await self.response.write(event(message) if message else KEEP_ALIVE)

    async def _detach(self) -> None:
        if self.is_attached:
            self.is_attached = False
            await self.response.end()


async def _detach(stream: SessionStream) -> None:
    try:
        await stream.detach()
    except Exception as error:  # noqa: BLE001 - the client is gone from there, which is what was wanted
        logger.debug("a response could not be ended: %s", type(error).__name__)
