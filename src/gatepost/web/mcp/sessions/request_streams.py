"""The streams of requests: those that are written here, and the last ones of each session that ended here."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from gatepost.server.calls.waiters import Waiters
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.mcp import McpStreamStore
from gatepost.tokens.opaque import RandomBytes, identifier
from gatepost.web.mcp.exchange.event_stream import EventResponse
from gatepost.web.mcp.exchange.keep_alive import KeepAlive
from gatepost.web.mcp.sessions.session_stream import SessionStream

KEPT_STREAMS: Final = 16
"""How many streams of one session are kept after their end, for clients that missed it."""
KEPT_BYTES: Final = 16 * 1024 * 1024
"""How many bytes they may have together; the latest is kept in any case."""
_MOST_SESSIONS: Final = 10_000

logger = logging.getLogger("gatepost.mcp")


@dataclass(slots=True, kw_only=True)
class RequestStreams:
    """The streams of requests."""

    store: McpStreamStore
    """Where their events are kept."""
    waiters: Waiters
    """Those who have resumed one wait there."""
    random_bytes: RandomBytes
    """Where ids come from."""
    keep_alive: KeepAlive
    live: dict[tuple[bytes, str], SessionStream] = field(default_factory=dict, init=False)
    """Those whose requests are being served here, by session and id, for who resumes one."""
    _ended: dict[bytes, deque[tuple[str, int]]] = field(default_factory=dict, init=False)
    """Those that ended here, by session, the oldest first, with their bytes."""
    _detaching: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    def open(self, key: bytes, response: EventResponse, *, is_primed: bool) -> SessionStream:
        """Open the stream of a request of the session `key`."""
        stream = SessionStream(
            key=key,
            stream_id=identifier("", self.random_bytes),
            response=response,
            streams=self.store,
            waiters=self.waiters,
            is_primed=is_primed,
            keep_alive=self.keep_alive,
        )
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


async def _detach(stream: SessionStream) -> None:
    try:
        await stream.detach()
    except Exception as error:  # noqa: BLE001 - the client is gone from there, which is what was wanted
        logger.debug("a response could not be ended: %s", type(error).__name__)
