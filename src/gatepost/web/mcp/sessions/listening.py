"""GET: the stream of what concerns no request of the client's, and the streams that are taken up again.

2025-11-25 basic/transports, "Listening for Messages from the Server", "Multiple Connections" and "Resumability and
Redelivery". The rules, per session:

- One stream of its own for `list_changed` and the like. A second GET without `Last-Event-ID` is answered 409 while the
  first is open, because each message goes out on one stream only.
- A GET with `Last-Event-ID` takes up the stream that the id names; the connection that carried it until then ends.
- At most `MOST_CONNECTIONS` GETs at a time, then 409; and at most `MOST_OF_USER` of one user in all sessions, then 429.

With several processes the store knows which connection carries a stream: the latest, since nobody here can see whether
one at another process, which may be dead, is still open. Every process hears of every change, and the one whose
connection carries a session's stream writes it down there, so that it is there once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gatepost.oauth.reasons import Reason
from gatepost.protocol.errors import InvalidJsonRpcRequest
from gatepost.protocol.messages import notification
from gatepost.protocol.versions import Revision
from gatepost.server.changes.bus import Change, ChangeBus
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.mcp import McpSession, McpStreamStore
from gatepost.tokens.opaque import RandomBytes, identifier
from gatepost.web.mcp.exchange.answers import Refused
from gatepost.web.mcp.exchange.event_stream import KEEP_ALIVE, EventResponse
from gatepost.web.mcp.sessions.lifecycle import user_of
from gatepost.web.mcp.sessions.session_stream import SessionStream, numbered_event, position
from gatepost.web.mcp.sessions.waiters import Waiters, wait

STANDALONE: Final = "session"
"""The id of the stream that belongs to no request."""
MOST_CONNECTIONS: Final = 16
"""How many GETs one session may have open in one process."""
MOST_OF_USER: Final = 256
"""How many GETs one user may have open in one process, in whatever sessions."""
RESUME_SECONDS: Final = 60
"""For how long messages are kept for a client that listened and has gone away."""
MOST_EVENTS: Final = 1000
"""How many events of a session's own stream are kept; the oldest are given up."""
_AT_ONCE: Final = 100  # events per look into the store

logger = logging.getLogger("gatepost.mcp")


@dataclass(slots=True, eq=False)
class Listener:
    """One open GET."""

    session_fingerprint: bytes
    stream_id: str
    granted: frozenset[str] | None
    """The scopes of whoever listens; None where scopes do not count."""
    connection: str
    """What the store knows this connection by."""
    user: tuple[str, str] | None = None
    """Issuer and subject; None where nobody is anybody in particular."""
    is_over: bool = False


class SessionListening:
    """The open GETs of this process.

    Args:
        streams: where events are kept.
        is_subscribed: whether a session wants to know of changes of a resource.
        waiters: shared with those who append events.
        live: the streams of requests that are being served.
        changes: carries what listeners want to hear of; None where nothing changes.
        now: the time, whole seconds UTC.
        random_bytes: where names of connections come from.
        keep_alive_seconds: how often a quiet stream gets a comment, and its session and token are looked at again.
        poll_seconds: how often one looks for events that another process appended to a request's stream.
    """

    def __init__(
        self,
        *,
        streams: McpStreamStore,
        is_subscribed: Callable[[bytes, str], Awaitable[bool]],
        waiters: Waiters,
        live: Mapping[tuple[bytes, str], SessionStream],
        changes: ChangeBus | None,
        now: Callable[[], int],
        random_bytes: RandomBytes,
        keep_alive_seconds: float,
        poll_seconds: float,
    ) -> None:
        self._streams = streams
        self._is_subscribed = is_subscribed
        self._waiters = waiters
        self._live = live
        self._changes = changes
        self._stop_following: Callable[[], None] | None = None
        self._telling: set[asyncio.Task[None]] = set()
        self._now = now
        self._random_bytes = random_bytes
        self._keep_alive_seconds = keep_alive_seconds
        self._poll_seconds = poll_seconds
        self._listeners: dict[bytes, dict[str, Listener]] = {}
        self._left: dict[bytes, tuple[int, Listener]] = {}  # when who listened to a session's own stream went away
        self._count_of: Counter[tuple[str, str]] = Counter()
        self._is_closing = False

    async def listen(
        self,
        session: McpSession,
        revision: Revision,
        *,
        last_event_id: bytes | None,
        granted: frozenset[str] | None,
        response: EventResponse,
        is_admitted: Callable[[], Awaitable[bool]],
    ) -> None:
        """Serve a GET until its stream ends. The caller cancels it when the client goes away.

        Args:
            session: whose stream it is.
            revision: what the client speaks.
            last_event_id: the header, for a stream that is taken up again.
            granted: the client's scopes; it hears of nothing that needs others. None where scopes do not count.
            response: nothing has been sent on it.
            is_admitted: whether session and token still count.

        Raises:
            Refused: 409 or 429, there are too many.
            InvalidJsonRpcRequest: the event is none of this session's.
        """
        key = session.session_fingerprint
        if last_event_id is None:
            stream_id, number = STANDALONE, None
        else:
            stream_id, number = await self._taken_up(key, last_event_id)
        listener = Listener(key, stream_id, granted, identifier("", self._random_bytes), user_of(session.owner))
        self._admit(listener, takes_up=number is not None)
        self._follow_changes()
        try:
            await self._take(listener)
            if number is None:
                number = await self._append(listener, b"")
                is_told = revision.primes_streams and number > 0
                await response.write(numbered_event(stream_id, number, b"") if is_told else KEEP_ALIVE)
            else:
                await response.write(KEEP_ALIVE)
            await self._follow(listener, number, response, is_admitted)
        finally:
            self._forget(listener)
        await response.end()

    async def publish(self, change: Change) -> None:
        """Tell every session that listens here, or did until a moment ago, and may know."""
        if change.kind == "resource":
            message = notification("notifications/resources/updated", {"uri": change.uri})
        else:
            message = notification(f"notifications/{change.kind}/list_changed", {})
        self._forget_left()
        told = {key: listener for key, (_, listener) in self._left.items()}
        told |= {key: streams[STANDALONE] for key, streams in self._listeners.items() if STANDALONE in streams}
        for key, listener in told.items():
            if listener.granted is not None and not change.scopes <= listener.granted:
                continue
            is_wanted = change.uri is None or await self._is_subscribed(key, change.uri)
            if is_wanted and not await self._append(listener, message) and self._has_left(listener):
                # The session is over, or its client listens at another process, which has heard of this too.
                del self._left[key]

    def end(self, session_fingerprint: bytes) -> None:
        """End the streams of a session that is over."""
        for listener in tuple(self._listeners.get(session_fingerprint, {}).values()):
            self._end(listener)
        self._left.pop(session_fingerprint, None)

    def close(self) -> None:
        """End all streams, and refuse more: the server is shutting down."""
        self._is_closing = True
        if self._stop_following is not None:
            self._stop_following()
            self._stop_following = None
        for session_fingerprint in tuple(self._listeners):
            self.end(session_fingerprint)

    def _follow_changes(self) -> None:
        """Hear of changes from now on; nobody wants to know of them before somebody listens."""
        if self._changes is None or self._stop_following is not None:
            return
        loop = asyncio.get_running_loop()

        def tell(change: Change) -> None:
            telling = loop.create_task(self._tell(change))
            # The loop itself holds tasks weakly.
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)

        self._stop_following = self._changes.listen(lambda change: _soon(loop, tell, change))

    async def _tell(self, change: Change) -> None:
        try:
            await self.publish(change)
        except StoreUnavailable:
            logger.warning("a change could not be told to sessions")

    async def _taken_up(self, key: bytes, last_event_id: bytes) -> tuple[str, int]:
        found = position(last_event_id)
        if found is not None and found[1] > 0:
            # The store looks among the events of this session only, so that nobody gets another one's.
            events, _ = await self._streams.events_after(key, found[0], found[1] - 1, limit=1)
            # Of a session's own stream the oldest are given up; who comes back after one of them gets what is left.
            if events and (events[0].number == found[1] or found[0] == STANDALONE):
                return found
        raise InvalidJsonRpcRequest("Last-Event-ID names no event of this session.")

    def _admit(self, listener: Listener, *, takes_up: bool) -> None:
        key, stream_id = listener.session_fingerprint, listener.stream_id
        if self._is_closing:
            raise Refused(503, Reason.SHUTTING_DOWN, "The server is shutting down.", headers=((b"retry-after", b"5"),))
        others = self._listeners.get(key, {})
        before = others.get(stream_id)
        if before is not None and takes_up:
            self._end(before)
        elif before is not None or len(others) >= MOST_CONNECTIONS:
            raise Refused(409, Reason.STREAM_TAKEN, "This session has its stream open already.")
        if listener.user is not None:
            if self._count_of[listener.user] >= MOST_OF_USER:
                message = f"At most {MOST_OF_USER} streams may be open at once."
                raise Refused(429, Reason.TOO_MANY_REQUESTS, message, headers=((b"retry-after", b"60"),))
            self._count_of[listener.user] += 1
        self._listeners.setdefault(key, {})[stream_id] = listener

    def _has_left(self, listener: Listener) -> bool:
        return self._left.get(listener.session_fingerprint, (0, None))[1] is listener

    async def _take(self, listener: Listener) -> None:
        """Have this connection carry its stream, instead of whichever did, here or at another process."""
        key, stream_id = listener.session_fingerprint, listener.stream_id
        await self._streams.attach_stream(key, stream_id, listener.connection)
        live = self._live.get((key, stream_id))
        if live is not None:
            await live.detach()

    async def _append(self, listener: Listener, message: bytes) -> int:
        """Keep an event of a session's own stream; 0 when this connection does not carry it, and is told so."""
        key = listener.session_fingerprint
        number = await self._streams.append_event(
            key, STANDALONE, message, connection=listener.connection, most=MOST_EVENTS
        )
        self._waiters.wake((key, STANDALONE))
        return number

    async def _follow(
        self, listener: Listener, number: int, response: EventResponse, is_admitted: Callable[[], Awaitable[bool]]
    ) -> None:
        """Send the events behind `number`, and those that come, until the stream ends."""
        key, stream_id = listener.session_fingerprint, listener.stream_id
        # What belongs to no request is appended by who carries the stream, so there is nothing to look for.
        pause = self._keep_alive_seconds if stream_id == STANDALONE else self._poll_seconds
        quiet, looked_at = 0.0, self._now()
        with self._waiters.expected((key, stream_id)) as event:
            while not listener.is_over:
                event.clear()
                events, is_finished = await self._streams.events_after(
                    key, stream_id, number, limit=_AT_ONCE, connection=listener.connection
                )
                # A stream that is never quiet is looked at as often as others, before more goes out on it.
                if events and self._now() - looked_at >= self._keep_alive_seconds:
                    looked_at = self._now()
                    if not await is_admitted():
                        return
                for kept in events:
                    number = kept.number
                    if kept.message and not listener.is_over:
                        await response.write(numbered_event(stream_id, number, kept.message))
                if is_finished:
                    return
                if len(events) == _AT_ONCE:
                    continue
                quiet = 0.0 if await wait(event, pause) else quiet + pause
                if quiet >= self._keep_alive_seconds:
                    quiet, looked_at = 0.0, self._now()
                    if not await is_admitted():
                        return
                    await response.write(KEEP_ALIVE)

    def _end(self, listener: Listener) -> None:
        listener.is_over = True
        self._forget(listener)
        self._waiters.wake((listener.session_fingerprint, listener.stream_id))

    def _forget(self, listener: Listener) -> None:
        key = listener.session_fingerprint
        listeners = self._listeners.get(key, {})
        if listeners.get(listener.stream_id) is listener:
            del listeners[listener.stream_id]
            if listener.user is not None:
                self._count_of[listener.user] -= 1
                if not self._count_of[listener.user]:
                    del self._count_of[listener.user]
            if listener.stream_id == STANDALONE:
                # At the end: in the order in which they went.
                self._left.pop(key, None)
                self._left[key] = (self._now(), listener)
                self._forget_left()
        if not listeners:
            self._listeners.pop(key, None)

    def _forget_left(self) -> None:
        oldest = self._now() - RESUME_SECONDS
        while self._left and self._left[first := next(iter(self._left))][0] <= oldest:
            del self._left[first]


def _soon(loop: asyncio.AbstractEventLoop, tell: Callable[[Change], None], change: Change) -> None:
    """Call `tell` in the loop; from any thread. A loop that is over has nobody to tell."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(tell, change)
