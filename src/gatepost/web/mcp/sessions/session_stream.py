"""The stream that answers one request of a session: its events are kept, so that it can be taken up again.

2025-11-25 basic/transports, "Sending Messages to the Server" and "Resumability and Redelivery". The stream outlives the
HTTP response that carries it: when the client goes away, or the response is closed early, events are still kept, and a
GET with `Last-Event-ID` gets them.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.mcp import McpStreamStore
from gatepost.web.mcp.exchange.event_stream import KEEP_ALIVE, ResponseStream, event
from gatepost.web.mcp.exchange.send_queue import Outgoing
from gatepost.web.mcp.sessions.waiters import Wakeups

RETRY_MILLISECONDS: Final = 1000
"""What a client is told to wait before it polls for the rest."""
MOST_EVENTS: Final = 1000
"""How many events of one stream are kept. Later ones are sent once, without an id; the result is always kept."""
MOST_EVENT_BYTES: Final = 4 * 1024 * 1024
"""How many bytes of one stream are kept, besides its result; later events are sent once, likewise."""
_LAST = (200, None, ())

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


class SessionStream:
    """The stream of one request. Nothing is written before the first message.

    Args:
        session_fingerprint: whose it is.
        stream_id: unique within the session.
        response: the HTTP response of the request.
        streams: where its events are kept.
        wakeups: wakes those who have taken the stream up again.
        is_primed: whether the client knows events without data, and so the stream may be closed early.
        keep_alive_seconds: how often a comment is sent while nothing else is.
        loop: the request's; a tool in a worker thread may be the first to use the stream.
    """

    def __init__(
        self,
        *,
        session_fingerprint: bytes,
        stream_id: str,
        response: ResponseStream,
        streams: McpStreamStore,
        wakeups: Wakeups,
        is_primed: bool,
        keep_alive_seconds: float,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.stream_id = stream_id
        self.has_begun = False
        """Whether anything has been sent, so that the answer has to come on this stream, too."""
        self._session_fingerprint = session_fingerprint
        self._response = response
        self._streams = streams
        self._wakeups = wakeups
        self._is_primed = is_primed
        self._keep_alive_seconds = keep_alive_seconds
        self.is_attached = True
        """Whether the HTTP response still carries it."""
        self.is_finished = False
        """Whether the request has been answered, so that nothing more may be said about it."""
        self._count = 0
        self._bytes = 0
        self.kept_bytes = 0
        """How many bytes of it are in the store."""
        self._loop = loop
        self._waiting = Outgoing()
        self._writing = asyncio.Lock()
        self._keep_alive: asyncio.Task[None] | None = None
        self._flushing: asyncio.Task[None] | None = None

    async def send(self, message: bytes) -> None:
        """Send a message, after all that was given before; nothing once the stream is finished."""
        if self.is_finished:
            return
        self._waiting.put(message)
        await self._flush()

    def post(self, message: bytes) -> None:
        """Send a message soon; from any thread."""
        # Worker threads have no running loop. Their posts arrive in order, and before their result does.
        if asyncio._get_running_loop() is self._loop:  # noqa: SLF001 - documented; the public one raises instead
            self._post(message)
        else:
            self._loop.call_soon_threadsafe(self._post, message)

    async def close_response(self) -> None:
        """End the HTTP response; the stream goes on without it. Does nothing for clients that would not come back."""
        if not self._is_primed:
            return
        await self._flush()
        async with self._writing:
            if self.is_attached:
                await self._response.write(b"retry: %d\n\n" % RETRY_MILLISECONDS)
            await self._detach()

    async def detach(self) -> None:
        """End the HTTP response, because the client has taken the stream up with another one."""
        async with self._writing:
            await self._detach()

    async def finish(self, message: bytes | None) -> None:
        """Send the last message, if there is one, and end stream and response."""
        await self._flush()
        async with self._writing:
            # A task that the request left behind goes on; its words come too late (basic/utilities/progress).
            self.is_finished = True
            while self._waiting:
                await self._emit(self._waiting.take())
            if message is not None:
                await self._emit(message, is_last=True)
            try:
                await self._streams.finish_stream(self._session_fingerprint, self.stream_id)
            except StoreUnavailable:
                logger.warning("the end of a stream could not be kept")
            self._wakeups.wake((self._session_fingerprint, self.stream_id))
            await self._detach()

    def _post(self, message: bytes) -> None:
        if self.is_finished:
            return
        self._waiting.post(message)
        self.has_begun = True
        if self._flushing is None:
            self._flushing = self._loop.create_task(self._flush_posted())

    async def _flush_posted(self) -> None:
        self._flushing = None
        await self._flush()

    async def _flush(self) -> None:
        async with self._writing:
            self.has_begun = True
            if self._keep_alive is None:
                self._keep_alive = self._loop.create_task(self._stay_alive())
                if self._is_primed:
                    await self._emit(b"")
            while self._waiting:
                await self._emit(self._waiting.take())

    async def _emit(self, message: bytes, *, is_last: bool = False) -> None:
        self._count += 1
        self._bytes += len(message)
        number = 0
        if is_last or (self._count <= MOST_EVENTS and self._bytes <= MOST_EVENT_BYTES):
            try:
                number = await self._streams.append_event(self._session_fingerprint, self.stream_id, message)
            except StoreUnavailable:
                # The client that is there gets it all the same; one that comes back will miss it.
                logger.warning("an event could not be kept")
            self.kept_bytes += len(message) if number else 0
        self._wakeups.wake((self._session_fingerprint, self.stream_id))
        if not self.is_attached:
            return
        if number:
            await self._response.write(numbered_event(self.stream_id, number, message))
        elif message:
            await self._response.write(event(message))

    async def _detach(self) -> None:
        if self._keep_alive is not None:
            self._keep_alive.cancel()
        if self.is_attached:
            self.is_attached = False
            await self._response.finish(_LAST)

    async def _stay_alive(self) -> None:
        while self.is_attached:
            await asyncio.sleep(self._keep_alive_seconds)
            await self._response.write(KEEP_ALIVE)
