"""The handshake era in sessions: what one request, one response, a GET and a DELETE do there.

What a session is, its events and its open questions are in the store. In the process there is only what cannot be
elsewhere: the tasks that run, and the connections that are open.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final

from starlette.types import Receive

from gatepost.oauth.reasons import Reason
from gatepost.protocol import eras, handshake
from gatepost.protocol.errors import RequestId
from gatepost.protocol.messages import Notification, Request, Response, cancellation_reason
from gatepost.protocol.versions import HANDSHAKE, Revision
from gatepost.resource.principal import Principal
from gatepost.server.changes import ChangeBus
from gatepost.server.target import Caller, Result
from gatepost.stores.errors import StoreUnavailable
from gatepost.stores.mcp_protocols import McpSession
from gatepost.stores.protocols import Store
from gatepost.tokens.opaque import RandomBytes, identifier
from gatepost.web.handshake_channel import HandshakeChannel, Questions
from gatepost.web.mcp_answers import Answer, RawHeaders, Refused
from gatepost.web.mcp_disconnect import run_while_connected
from gatepost.web.mcp_headers import accepts_events
from gatepost.web.mcp_sessions import IDLE_SECONDS, MOST_PER_OWNER, McpSessions
from gatepost.web.mcp_stream import KEEP_ALIVE, ResponseStream
from gatepost.web.session_listening import SessionListening
from gatepost.web.session_stream import SessionStream
from gatepost.web.wakeups import Wakeups

SESSION_HEADER: Final = b"mcp-session-id"
KEEP_ALIVE_SECONDS: Final = 15.0
POLL_SECONDS: Final = 1.0
KEPT_STREAMS: Final = 16
"""How many streams of one session are kept after their end, for clients that missed it."""
_MOST_SESSIONS: Final = 10_000

logger = logging.getLogger("gatepost.mcp")


class RequestCancelled(Exception):
    """The client took its request back; it gets no response (basic/utilities/cancellation)."""


class HandshakeEra:
    """Sessions, and what goes on in them.

    Args:
        store: where sessions, events and questions are kept.
        resource: the identifier of the endpoint that they are sessions of.
        now: the time, whole seconds UTC.
        random_bytes: where ids come from.
        changes: carries what those who listen want to hear of; None where nothing changes.
        idle_seconds: how long a session lives without being used.
        most_per_owner: how many sessions one user may have with one app.
        keep_alive_seconds: how often a quiet stream gets a comment.
        poll_seconds: how often one looks for what another process may have done.
    """

    def __init__(
        self,
        *,
        store: Store,
        resource: str,
        now: Callable[[], int],
        random_bytes: RandomBytes,
        changes: ChangeBus | None = None,
        idle_seconds: int = IDLE_SECONDS,
        most_per_owner: int = MOST_PER_OWNER,
        keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self.sessions = McpSessions(
            store=store.mcp_sessions,
            resource=resource,
            now=now,
            random_bytes=random_bytes,
            idle_seconds=idle_seconds,
            most_per_owner=most_per_owner,
        )
        self.wakeups = Wakeups()
        self.streams = store.mcp_streams
        self.questions = Questions(store.mcp_questions, self.wakeups, now, random_bytes, poll_seconds)
        self.keep_alive_seconds = keep_alive_seconds
        self.random_bytes = random_bytes
        self.running: dict[tuple[bytes, RequestId], set[SessionRun]] = {}
        """The requests that are being served here, for `notifications/cancelled`."""
        self.live: dict[tuple[bytes, str], SessionStream] = {}
        """The streams whose requests are being served here, for those who take one up again."""
        self._ended: dict[bytes, deque[str]] = {}
        """The streams of each session that ended here, oldest first."""
        self.listening = SessionListening(
            streams=store.mcp_streams,
            is_subscribed=self.sessions.is_subscribed,
            wakeups=self.wakeups,
            live=self.live,
            changes=changes,
            now=now,
            keep_alive_seconds=keep_alive_seconds,
            poll_seconds=poll_seconds,
        )

    async def session_of(self, headers: Mapping[bytes, bytes], principal: Principal | None) -> McpSession | None:
        """Return the session that a request names; None when it names none.

        Raises:
            Refused: 404, there is no such session, or it is somebody else's.
        """
        session_id = headers.get(SESSION_HEADER)
        if session_id is None:
            return None
        session = await self.sessions.find(session_id.decode("latin-1"), principal)
        if session is None:
            raise session_unknown()
        return session

    async def start(
        self, request: Request, result: Result, revision: Revision, principal: Principal | None
    ) -> RawHeaders:
        """Begin a session for an `initialize` that was answered with `result`; return the header that names it.

        There is none when there is no room for a session.
        """
        # A bare function may have agreed on something else than was negotiated.
        agreed = result.get("protocolVersion") if type(result) is dict else None
        revision = HANDSHAKE.get(str(agreed), revision)
        capabilities = request.params.get("capabilities")
        declared = capabilities if type(capabilities) is dict else {}
        session_id, ended = await self.sessions.start(principal, revision, declared)
        for session_fingerprint in ended:
            self._stop(session_fingerprint)
        return () if session_id is None else ((SESSION_HEADER, session_id.encode("ascii")),)

    def run(self, request: Request, session: McpSession, caller: Caller, response: ResponseStream) -> SessionRun:
        """Prepare a request of a session, and complete its caller."""
        run = SessionRun(self, request, session, response)
        session_id = caller.headers[SESSION_HEADER].decode("latin-1")
        if accepts_events(caller.headers.get(b"accept")):
            caller.channel = run.channel
        caller.session = SessionHandle(self.sessions, session_id, session)
        return run

    async def keep_ended(self, key: bytes, stream_id: str) -> None:
        """Keep a stream that has ended, and forget the oldest of its session if there are too many.

        What ended in another process, or before a restart, is forgotten with its session.
        """
        ended = self._ended.pop(key, None) or deque()
        while len(self._ended) >= _MOST_SESSIONS:
            del self._ended[next(iter(self._ended))]
        self._ended[key] = ended
        ended.append(stream_id)
        try:
            while len(ended) > KEPT_STREAMS:
                await self.streams.forget_stream(key, ended.popleft())
        except StoreUnavailable:
            logger.warning("an old stream could not be forgotten")

    async def take(self, message: Notification | Response, session: McpSession) -> bool:
        """Take what concerns the session itself; False when the message is for the target."""
        if isinstance(message, Response):
            if not await self.questions.answer(session, message):
                logger.debug("a response answers no open question")
            return True
        if message.method == "notifications/cancelled":
            self._cancel(session, message.params)
            return True
        return False

    async def listen(
        self,
        headers: Mapping[bytes, bytes],
        principal: Principal | None,
        *,
        receive: Receive,
        response: ResponseStream,
        is_verified: Callable[[], Awaitable[bool]],
    ) -> None:
        """Serve a GET until its stream ends.

        Args:
            headers: of the request.
            principal: who sends it.
            receive: its ASGI channel; nothing has been read from it.
            response: nothing has been sent on it.
            is_verified: whether the access token still counts.

        Raises:
            Refused: the request is not one that opens a stream.
            ProtocolError: a header is wrong.
            ClientDisconnected: the client went away.
        """
        # 1. Headers. Without a session there is nothing to listen to.
        if SESSION_HEADER not in headers:
            message = (
                "Send POST; GET is for sessions, so it needs the Mcp-Session-Id that initialize was answered with."
            )
            raise Refused(405, Reason.HTTP_METHOD_NOT_ALLOWED, message, headers=((b"allow", b"POST"),))
        if not accepts_events(headers.get(b"accept")):
            raise Refused(406, Reason.NOT_ACCEPTABLE, "Send Accept: text/event-stream.")
        # 2. Which session, and which revision?
        session = await self.session_of(headers, principal)
        assert session is not None  # noqa: S101 - the header is there; tells mypy
        version = eras.version_in_header(headers.get(b"mcp-protocol-version"))
        revision = handshake.revision_in_header(version or session.revision)

        async def is_admitted() -> bool:
            try:
                return await is_verified() and await self.sessions.find(session_id, principal) is not None
            except StoreUnavailable:
                # What the store cannot say now, it may say in a moment; nothing is sent meanwhile that it keeps.
                return True

        # 3. Listen.
        session_id = headers[SESSION_HEADER].decode("latin-1")
        last_event_id = headers.get(b"last-event-id")
        listening = self.listening.listen(
            session,
            revision,
            last_event_id=last_event_id,
            granted=None if principal is None else principal.scopes,
            response=response,
            is_admitted=is_admitted,
        )
        await run_while_connected(listening, receive)

    async def end(self, headers: Mapping[bytes, bytes], principal: Principal | None) -> Answer:
        """End a session (DELETE): its streams end, what runs in it is cancelled.

        Raises:
            Refused: no session is named, or there is none, or it is over already.
        """
        session = await self.session_of(headers, principal)
        if session is None:
            raise Refused(400, Reason.SESSION_MISSING, "Send the Mcp-Session-Id of the session to end.")
        if not await self.sessions.end(headers[SESSION_HEADER].decode("latin-1"), principal):
            raise session_unknown()
        self._stop(session.session_fingerprint)
        return 200, None, ()

    def close(self) -> None:
        """End the streams that GETs hold open: the server is shutting down. What runs goes on to its end."""
        self.listening.close()

    def _stop(self, session_fingerprint: bytes) -> None:
        """Stop what goes on here in a session that is over."""
        self.listening.end(session_fingerprint)
        self._ended.pop(session_fingerprint, None)
        for runs in [runs for (owner, _), runs in self.running.items() if owner == session_fingerprint]:
            for run in tuple(runs):
                run.cancel()

    def _cancel(self, session: McpSession, params: Mapping[str, Any]) -> None:
        # 2025-11-25 basic/utilities/cancellation: what is unknown or over is passed over without a word.
        request_id: Any = params.get("requestId")
        if type(request_id) in (int, str):
            for run in tuple(self.running.get((session.session_fingerprint, request_id), ())):
                logger.debug("a request was cancelled", extra={"given_reason": cancellation_reason(params)})
                run.cancel()


class SessionRun:
    """One request of a session. Building it costs next to nothing.

    The work runs in the request's own task, which goes on when the client disconnects: that is no cancellation here
    (basic/transports, "Sending Messages to the Server").
    """

    __slots__ = ("_era", "_is_cancelled", "_request", "_response", "_session", "_stream", "_task", "revision")

    def __init__(self, era: HandshakeEra, request: Request, session: McpSession, response: ResponseStream) -> None:
        self._era = era
        self._request = request
        self.revision = HANDSHAKE[session.revision]
        """What the request is in."""
        self._session = session
        self._response = response
        self._stream: SessionStream | None = None
        self._task: asyncio.Task[Any] | None = None
        self._is_cancelled = False

    def channel(self) -> HandshakeChannel:
        """Open the way back to the client; in the event loop or in a worker thread."""
        assert self._task is not None  # noqa: S101 - only the work opens it; tells mypy
        era, key = self._era, self._session.session_fingerprint
        stream = self._stream = SessionStream(
            session_fingerprint=key,
            stream_id=identifier("", era.random_bytes),
            response=self._response,
            streams=era.streams,
            wakeups=era.wakeups,
            is_primed=self.revision.primes_streams,
            keep_alive_seconds=era.keep_alive_seconds,
            loop=self._task.get_loop(),
        )
        era.live[key, stream.stream_id] = stream
        return HandshakeChannel(self._session, stream, era.questions)

    async def result_of(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run the work; `cancel` ends it.

        Raises:
            RequestCancelled: the client took the request back.
            Exception: whatever the work raises.
        """
        key = (self._session.session_fingerprint, self._request.id)
        runs = self._era.running.setdefault(key, set())
        runs.add(self)
        self._task = asyncio.current_task()
        try:
            result = await work
        except asyncio.CancelledError:
            if self._is_cancelled:
                raise RequestCancelled from None
            raise
        finally:
            runs.discard(self)
            if not runs:
                self._era.running.pop(key, None)
            if self._is_cancelled and self._task is not None:
                # The cancellation was ours and ends here; the task has still to finish the exchange.
                self._task.uncancel()
        if self._is_cancelled:
            raise RequestCancelled
        return result

    def cancel(self) -> None:
        """Stop the work."""
        if not self._is_cancelled and self._task is not None:
            self._is_cancelled = True
            self._task.cancel()

    async def finish(self, answer: Answer) -> Answer | None:
        """Send the answer on the stream if there is one, and return None; else return the answer."""
        stream = self._stream
        if stream is None:
            return answer
        self._era.live.pop((self._session.session_fingerprint, stream.stream_id), None)
        if not stream.has_begun:
            return answer
        await stream.finish(answer[1])
        await self._era.keep_ended(self._session.session_fingerprint, stream.stream_id)
        return None

    async def finish_without_answer(self) -> None:
        """End the exchange of a request that the client took back: an event stream without a message."""
        if await self.finish((200, None, ())) is not None:
            await self._response.write(KEEP_ALIVE)
            await self._response.finish((200, None, ()))


class SessionHandle:
    """What a target can do to the session of a request; see `Session`."""

    __slots__ = ("_session", "_session_id", "_sessions")

    def __init__(self, sessions: McpSessions, session_id: str, session: McpSession) -> None:
        self._sessions = sessions
        self._session_id = session_id
        self._session = session

    async def set_log_level(self, level: str) -> None:
        """See `Session.set_log_level`."""
        await self._sessions.set_log_level(self._session_id, self._session, level)

    async def subscribe(self, uri: str) -> bool:
        """See `Session.subscribe`."""
        return await self._sessions.subscribe(self._session, uri)

    async def unsubscribe(self, uri: str) -> None:
        """See `Session.unsubscribe`."""
        await self._sessions.unsubscribe(self._session, uri)


def session_unknown() -> Refused:
    """Return 404, on which a client begins anew (basic/transports, "Session Management")."""
    return Refused(404, Reason.SESSION_UNKNOWN, "There is no such session. Send initialize to begin another one.")
