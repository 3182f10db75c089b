"""GET: the stream of what concerns no request of the client's, and the streams that are resumed.

2025-11-25 basic/transports, "Listening for Messages from the Server", "Multiple Connections" and "Resumability and
Redelivery". The rules, per session:

- One stream of its own for `list_changed` and the like. A second GET without `Last-Event-ID` is answered 409 while the
  first is open, because each message goes out on one stream only.
- A GET with `Last-Event-ID` resumes the stream that the id names; the connection that it was attached to ends.
- At most `MOST_CONNECTIONS` GETs at a time, then 409; and at most `MOST_OF_USER` of one user in all sessions, then 429.

With several processes the store knows which connection a stream is attached to: the latest, since nobody here can see
whether one at another process, which may be dead, is still open. Every process is notified of every change, and the one
with the connection that a session's stream is attached to keeps it there, so that it is there once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import Final

from gatepost.late_dataclass import dataclass
from gatepost.oauth.reasons import Reason
from gatepost.protocol.errors import InvalidJsonRpcRequest
from gatepost.protocol.messages import notification
from gatepost.protocol.versions import Revision
from gatepost.server.calls.callers import user_of
from gatepost.server.calls.waiters import Pace, Waiters, wait
from gatepost.server.changes.bus import Change, ChangeBus, listen_in_loop
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.mcp import McpStreamStore
from gatepost.tokens.opaque import RandomBytes, identifier
from gatepost.web.mcp.exchange.answers import Refused
from gatepost.web.mcp.exchange.event_stream import KEEP_ALIVE, EventResponse
from gatepost.web.mcp.exchange.http_exchange import HttpExchange
from gatepost.web.mcp.exchange.keep_alive import IsAdmitted, KeepAlive
from gatepost.web.mcp.sessions.session_streams import SessionStream, numbered_event, position

STANDALONE: Final = "session"
"""The id of the stream that belongs to no request."""
MOST_CONNECTIONS: Final = 16
"""How many GETs one session may have open in one process."""
MOST_OF_USER: Final = 256
"""How many GETs one user may have open in one process, in whatever sessions."""
RESUME_SECONDS: Final = 60
"""For how long messages are kept for a client that listened and has gone away."""
MOST_EVENTS: Final = 1000
"""How many events of a session's own stream are kept; the oldest are dropped."""
MOST_HELD: Final = 64
"""How many messages to a session are held until its client listens; the oldest are dropped."""
MOST_HELD_BYTES: Final = 1024 * 1024
"""How many bytes they may have together; one that is longer is held alone."""
_AT_ONCE: Final = 100  # events per query

logger = logging.getLogger("gatepost.mcp")


@dataclass(slots=True, eq=False)
class Listener:
    """One open GET."""

    key: bytes
    """The fingerprint of its session."""
    stream_id: str
    granted: frozenset[str] | None
    """The scopes of whoever listens; None where scopes do not count."""
    connection: str
    """What the store knows this connection by."""
    user: tuple[str, str] | None = None
    """Issuer and subject; None where nobody is anybody in particular."""
    is_over: bool = False


@dataclass(slots=True, kw_only=True)
class SessionListening:
    """The open GETs of this process."""

    streams: McpStreamStore
    subscribed_as: Callable[[bytes, str], Awaitable[str | None]]
    """How a session spells the URI of a resource that it wants to know changes of; None if it does not."""
    waiters: Waiters
    """Shared with those who append events."""
    live: Mapping[tuple[bytes, str], SessionStream]
    """The streams of requests that are being served."""
    changes: ChangeBus | None
    """Carries what listeners want to know of; None where nothing changes."""
    now: Callable[[], int]
    random_bytes: RandomBytes
    """Where names of connections come from."""
    keep_alive: KeepAlive
    pace: Pace
    """How often the store is polled for events that another process appended to a request's stream."""
    _stop_following: Callable[[], None] | None = field(default=None, init=False)
    _publishing: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _listeners: dict[bytes, dict[str, Listener]] = field(default_factory=dict, init=False)
    _disconnected: dict[bytes, tuple[int, Listener]] = field(default_factory=dict, init=False)
    """Since when who listened to a session's own stream is gone; the longest first."""
    _count_of: Counter[tuple[str, str]] = field(default_factory=Counter, init=False)
    _held: dict[bytes, deque[bytes]] = field(default_factory=dict[bytes, deque[bytes]], init=False)
    """Messages that have still to be appended, by session."""
    _delivering: dict[bytes, asyncio.Task[None]] = field(default_factory=dict[bytes, "asyncio.Task[None]"], init=False)
    _is_closing: bool = field(default=False, init=False)

    async def listen(
        self,
        key: bytes,
        revision: Revision,
        exchange: HttpExchange,
        *,
        last_event_id: bytes | None,
        is_admitted: IsAdmitted,
    ) -> None:
        """Serve a GET until its stream ends. The caller cancels it when the client disconnects.

        Args:
            key: the fingerprint of the session whose stream it is.
            revision: what the client speaks.
            exchange: of the GET; the client is notified of nothing that needs other scopes. Nothing has been sent.
            last_event_id: the header, for a stream that is resumed.
            is_admitted: whether session and token still count.

        Raises:
            Refused: 409 or 429, there are too many.
            InvalidJsonRpcRequest: the event is none of this session's.
        """
        response = exchange.response
        if last_event_id is None:
            stream_id, number = STANDALONE, None
        else:
            stream_id, number = await self._resumed(key, last_event_id)
        connection = identifier("", self.random_bytes)
        listener = Listener(key, stream_id, exchange.granted, connection, user_of(exchange.principal))

        async def end() -> None:
            self._end(listener)

        self._admit(listener, is_resumption=number is not None)
        self._follow_changes()
        stop = self.keep_alive.add(response, is_admitted, end)
        try:
            await self._attach(listener)
            opening = KEEP_ALIVE
            if number is None:
                number = await self._append(listener, b"")
            if revision.primes_streams and number > 0:
                # One that is resumed says its place again, since some clients remember it per response.
                opening = numbered_event(stream_id, number, b"")
            await response.write(opening)
            self._deliver_soon(key)
            await self._follow(listener, number, response)
        finally:
            stop()
            self._forget(listener)
        await response.end()

    async def publish(self, change: Change) -> None:
        """Notify every session that listens here, or did until a moment ago, and may know."""
        self._forget_disconnected()
        listening = {key: listener for key, (_, listener) in self._disconnected.items()}
        listening |= {key: streams[STANDALONE] for key, streams in self._listeners.items() if STANDALONE in streams}
        for key, listener in listening.items():
            if listener.granted is not None and not change.scopes <= listener.granted:
                continue
            watched: dict[str, str] = {}
            if change.uri is not None:
                spelling = await self.subscribed_as(key, change.uri)
                if spelling is None:
                    continue
                watched[change.uri] = spelling
            message = notification(*change.notification(watched))
            if not await self._append(listener, message) and self._is_disconnected(listener):
                # The session is over, or its client listens at another process, which has been notified too.
                del self._disconnected[key]

    def is_listening(self, key: bytes) -> bool:
        """Say whether the session's own stream is open here."""
        return STANDALONE in self._listeners.get(key, {})

    def post(self, key: bytes, message: bytes) -> None:
        """Send a message on a session's own stream, in order, once its client listens. In the event loop."""
        held = self._held.setdefault(key, deque())
        held.append(message)
        while len(held) > MOST_HELD or (sum(map(len, held)) > MOST_HELD_BYTES and len(held) > 1):
            held.popleft()
        self._deliver_soon(key)

    def end(self, session_fingerprint: bytes) -> None:
        """End the streams of a session that is over."""
        self._held.pop(session_fingerprint, None)
        for listener in tuple(self._listeners.get(session_fingerprint, {}).values()):
            self._end(listener)
        self._disconnected.pop(session_fingerprint, None)

    def close(self) -> None:
        """End all streams, and refuse more: the server is shutting down."""
        self._is_closing = True
        if self._stop_following is not None:
            self._stop_following()
            self._stop_following = None
        for session_fingerprint in tuple(self._listeners):
            self.end(session_fingerprint)

    def _follow_changes(self) -> None:
        """Be notified of changes from now on; nobody wants to know of them before somebody listens."""
        if self.changes is None or self._stop_following is not None:
            return

        def publish_soon(change: Change) -> None:
            publishing = asyncio.get_running_loop().create_task(self._publish(change))
            # The loop itself holds tasks weakly.
            self._publishing.add(publishing)
            publishing.add_done_callback(self._publishing.discard)

        self._stop_following = listen_in_loop(self.changes, publish_soon)

    async def _publish(self, change: Change) -> None:
        try:
            await self.publish(change)
        except StoreUnavailable:
            logger.warning("sessions could not be notified of a change")

    def _deliver_soon(self, key: bytes) -> None:
        if key in self._held and key not in self._delivering and self._own_stream(key) is not None:
            self._delivering[key] = asyncio.get_running_loop().create_task(self._deliver(key))

    async def _deliver(self, key: bytes) -> None:
        """Append what is held, as long as somebody listens or did until a moment ago."""
        try:
            while (held := self._held.get(key)) and (listener := self._own_stream(key)) is not None:
                message = held.popleft()
                if not await self._append(listener, message) and self._is_disconnected(listener):
                    del self._disconnected[key]
        except StoreUnavailable:
            logger.warning("a session could not be sent a message")
        finally:
            del self._delivering[key]
            if not self._held.get(key, True):
                del self._held[key]

    def _own_stream(self, key: bytes) -> Listener | None:
        """Return who has the session's own stream open, or had it a moment ago."""
        self._forget_disconnected()
        return self._listeners.get(key, {}).get(STANDALONE) or self._disconnected.get(key, (0, None))[1]

    async def _resumed(self, key: bytes, last_event_id: bytes) -> tuple[str, int]:
        found = position(last_event_id)
        if found is not None and found[1] > 0:
            # The store looks among the events of this session only, so that nobody gets another one's.
            events, _ = await self.streams.events_after(key, found[0], found[1] - 1, limit=1)
            # Of a session's own stream the oldest are dropped; who comes back after one of them gets what is left.
            if events and (events[0].number == found[1] or found[0] == STANDALONE):
                return found
        raise InvalidJsonRpcRequest("Last-Event-ID names no event of this session.")

    def _admit(self, listener: Listener, *, is_resumption: bool) -> None:
        if self._is_closing:
            raise Refused(503, Reason.SHUTTING_DOWN, "The server is shutting down.", headers=((b"retry-after", b"5"),))
        others = self._listeners.get(listener.key, {})
        before = others.get(listener.stream_id)
        if before is not None and is_resumption:
            self._end(before)
        elif before is not None or len(others) >= MOST_CONNECTIONS:
            raise Refused(409, Reason.STREAM_TAKEN, "This session has its stream open already.")
        if listener.user is not None:
            if self._count_of[listener.user] >= MOST_OF_USER:
                message = f"At most {MOST_OF_USER} streams may be open at once."
                raise Refused(429, Reason.TOO_MANY_REQUESTS, message, headers=((b"retry-after", b"60"),))
            self._count_of[listener.user] += 1
        self._listeners.setdefault(listener.key, {})[listener.stream_id] = listener

    def _is_disconnected(self, listener: Listener) -> bool:
        return self._disconnected.get(listener.key, (0, None))[1] is listener

    async def _attach(self, listener: Listener) -> None:
        """Attach the stream to this connection, and detach it from another one, here or at another process."""
        await self.streams.attach_stream(listener.key, listener.stream_id, listener.connection)
        live = self.live.get((listener.key, listener.stream_id))
        if live is not None:
            await live.detach()

    async def _append(self, listener: Listener, message: bytes) -> int:
        """Keep an event of a session's own stream; 0 when that is not attached to this connection, which is woken."""
        key = listener.key
        number = await self.streams.append_event(
            key, STANDALONE, message, connection=listener.connection, most=MOST_EVENTS
        )
        self.waiters.wake((key, STANDALONE))
        return number

    async def _follow(self, listener: Listener, number: int, response: EventResponse) -> None:
        """Send the events behind `number`, and those that come, until the stream ends."""
        key, stream_id = listener.key, listener.stream_id
        with self.waiters.expected((key, stream_id)) as event:
            while not listener.is_over:
                event.clear()
                try:
                    events, is_finished = await self.streams.events_after(
                        key, stream_id, number, limit=_AT_ONCE, connection=listener.connection
                    )
                except StoreUnavailable:
                    # What cannot be known now is no reason to end what was allowed; it is asked again in a moment.
                    await wait(event, self.keep_alive.seconds)
                    continue
                for kept in events:
                    number = kept.number
                    if kept.message and not listener.is_over:
                        await response.write(numbered_event(stream_id, number, kept.message))
                if is_finished:
                    return
                if len(events) < _AT_ONCE:
                    await wait(event, self._pause(stream_id))

    def _pause(self, stream_id: str) -> float | None:
        """Return for how many seconds to wait for news of a stream; None: until they come."""
        if stream_id != STANDALONE:
            return self.pace.seconds
        # What belongs to no request is appended where the stream is attached, so there is only to find that it is no
        # more: whoever is heard says so, and when nobody is heard any more, those who wait are woken.
        return None if self.pace.wakeups.are_heard else self.keep_alive.seconds

    def _end(self, listener: Listener) -> None:
        listener.is_over = True
        self._forget(listener)
        self.waiters.wake((listener.key, listener.stream_id))

    def _forget(self, listener: Listener) -> None:
        key = listener.key
        listeners = self._listeners.get(key, {})
        if listeners.get(listener.stream_id) is listener:
            del listeners[listener.stream_id]
            if listener.user is not None:
                self._count_of[listener.user] -= 1
                if not self._count_of[listener.user]:
                    del self._count_of[listener.user]
            if listener.stream_id == STANDALONE:
                # At the end: in the order in which they disconnected.
                self._disconnected.pop(key, None)
                self._disconnected[key] = (self.now(), listener)
                self._forget_disconnected()
        if not listeners:
            self._listeners.pop(key, None)

    def _forget_disconnected(self) -> None:
        oldest = self.now() - RESUME_SECONDS
        while self._disconnected and self._disconnected[first := next(iter(self._disconnected))][0] <= oldest:
            del self._disconnected[first]
