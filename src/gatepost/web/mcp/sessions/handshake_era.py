"""The handshake era in sessions: what one request, one response, a GET and a DELETE do there.

What a session is, its events and its open client requests are in the store. In the process there is only what cannot be
elsewhere: the tasks that run, and the connections that are open.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

from starlette.requests import HTTPConnection
from starlette.types import Scope

from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.reasons import Reason
from gatepost.protocol import eras, handshake
from gatepost.protocol.errors import InvalidJsonRpcRequest
from gatepost.protocol.messages import Notification, Request, Response, cancellation_reason
from gatepost.protocol.versions import Revision
from gatepost.resource.principal import Principal
from gatepost.server.calls.pending_client_requests import PendingClientRequests
from gatepost.server.calls.waiters import Pace, Waiters
from gatepost.server.changes.bus import ChangeBus
from gatepost.server.target import Result, SessionTarget
from gatepost.stores.contract.mcp import McpSession
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.wakeups import Wakeup, WakeupKind
from gatepost.telemetry.catalogue import SESSION_DURATION, SESSIONS_BEGUN
from gatepost.telemetry.conventions import NETWORK_PROTOCOL, NETWORK_TRANSPORT, PROTOCOL_VERSION
from gatepost.telemetry.seam import Telemetry
from gatepost.tokens.opaque import fingerprint
from gatepost.web.mcp.exchange.answers import Answer, RawHeaders, Refused
from gatepost.web.mcp.exchange.headers import accepts_events
from gatepost.web.mcp.exchange.http_exchange import HttpExchange
from gatepost.web.mcp.exchange.keep_alive import KeepAlive
from gatepost.web.mcp.sessions.channel import StreamChannel
from gatepost.web.mcp.sessions.lifecycle import SESSION_HEADER, McpSessions, app_of
from gatepost.web.mcp.sessions.listening import SessionListening
from gatepost.web.mcp.sessions.running_requests import RunningRequests
from gatepost.web.mcp.sessions.session_exchange import SessionServices
from gatepost.web.mcp.sessions.session_streams import RequestStreams
from gatepost.web.site.audit import NO_AUDIT, Audit
from gatepost.web.site.disconnect import run_while_connected

POLL_SECONDS: Final = 1.0
_MOST_AUDITED: Final = 10_000
"""Of how many sessions it is remembered that another app's use of them is in the audit trail."""

logger = logging.getLogger("gatepost.mcp")


class HandshakeEra:
    """Sessions, and what goes on in them.

    Args:
        store: where sessions, events and client requests are kept.
        sessions: those of one endpoint.
        target: is told of sessions that begin and end, if it keeps something for each; None for one that does not.
        changes: carries what those who listen want to know of; None where nothing changes.
        keep_alive: keeps quiet streams alive.
        audit: is told when an app goes on with a session that another app began.
        telemetry: measures sessions; None measures nothing.
        poll_seconds: how often the store is polled for what another process did, while that is not heard.
    """

    def __init__(
        self,
        store: Store,
        sessions: McpSessions,
        *,
        target: SessionTarget | None = None,
        changes: ChangeBus | None = None,
        keep_alive: KeepAlive | None = None,
        audit: Audit = NO_AUDIT,
        telemetry: Telemetry | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._audit, self._telemetry = audit, telemetry
        self._target = target
        self._audited: set[tuple[bytes, str]] = set()
        keep_alive = KeepAlive() if keep_alive is None else keep_alive
        now, random_bytes, waiters = sessions.now, sessions.random_bytes, Waiters()
        self._waiters, self._wakeups = waiters, store.wakeups
        pace = Pace(poll_seconds, store.wakeups)
        client_requests = PendingClientRequests(
            store=store.mcp_client_requests,
            waiters=waiters,
            now=now,
            random_bytes=random_bytes,
            pace=pace,
        )
        streams = RequestStreams(store=store.mcp_streams, waiters=waiters, random_bytes=random_bytes)
        running = RunningRequests(
            cancellations=store.mcp_cancellations,
            in_use=sessions.in_use,
            end=self._ended_elsewhere,
            detach_resumed=streams.detach_resumed,
            now=now,
            pace=pace,
        )
        self.services = SessionServices(sessions, streams, running, client_requests)
        self.listening = SessionListening(
            streams=store.mcp_streams,
            subscribed_as=store.mcp_sessions.subscribed_as,
            waiters=waiters,
            live=streams.live,
            changes=changes,
            now=now,
            random_bytes=random_bytes,
            keep_alive=keep_alive,
            pace=pace,
        )

    def cached(self, headers: Mapping[bytes, bytes], principal: Principal | None) -> McpSession | None:
        """Return the session that a request names, if it was looked up a moment ago for this very principal."""
        header = headers.get(SESSION_HEADER)
        return None if header is None else self.services.sessions.cached(header.decode("latin-1"), principal)

    async def session_of(
        self, headers: Mapping[bytes, bytes], principal: Principal | None, scope: Scope
    ) -> McpSession | None:
        """Return the session that a request names; None when it names none.

        Args:
            headers: of the request.
            principal: who sends it.
            scope: of the request, which has the address for the audit trail.

        Raises:
            Refused: 404, there is no such session, or it is somebody else's.
        """
        header = headers.get(SESSION_HEADER)
        if header is None:
            return None
        session = await self.services.sessions.find(header.decode("latin-1"), principal)
        if session is None:
            raise session_unknown()
        if principal is not None and session.app != principal.client_id:
            self._note_app(session, principal, scope)
        return session

    def _note_app(self, session: McpSession, principal: Principal, scope: Scope) -> None:
        """Note that an app goes on with another app's session; once for each of both, since look-ups are frequent."""
        use = session.session_fingerprint, principal.client_id
        if use in self._audited:
            return
        if len(self._audited) >= _MOST_AUDITED:
            self._audited.clear()
        self._audited.add(use)
        self._audit.note(
            HTTPConnection(scope),
            AuditEvent.SESSION_OF_ANOTHER_APP,
            subject=principal.subject,
            client_id=principal.client_id,
            grant_id=principal.grant_id,
        )

    async def start(self, request: Request, result: Result, revision: Revision, exchange: HttpExchange) -> RawHeaders:
        """Begin a session for an `initialize` that was answered with `result`; return the header that names it.

        There is none when there is no room for a session.

        Raises:
            InvalidParams: the client's capabilities are larger than what is kept.
        """
        agreement, principal = handshake.agreement(request.params, result, revision), exchange.principal
        channel: StreamChannel | None = None
        try:
            session_id, ended = await self.services.sessions.start(principal, *agreement)
            if session_id is not None:
                channel = self._channel(session_id, principal, agreement[1])
        finally:
            if self._target is not None:
                self._target.session_began(exchange, channel)
        for session_fingerprint in ended:
            self._stop(session_fingerprint)
        if session_id is None:
            logger.info("no session was begun: there are as many as there may be")
            return ()
        whose = {} if principal is None else {"subject": principal.subject, "client_id": principal.client_id}
        if self._telemetry is not None:
            self._telemetry.count(SESSIONS_BEGUN, {PROTOCOL_VERSION: revision.version})
        logger.info("session", extra={"revision": revision.version, **whose})
        return ((SESSION_HEADER, session_id.encode("ascii")),)

    async def take(self, message: Notification | Response, session: McpSession) -> bool:
        """Take what concerns the session itself; False when the message is for the target.

        Raises:
            StoreUnavailable: what it says cannot be passed on.
        """
        if isinstance(message, Response):
            if not await self.services.client_requests.respond(session.session_fingerprint, message):
                logger.debug("a response answers no open request")
            return True
        if message.method != "notifications/cancelled":
            return False
        # 2025-11-25 basic/utilities/cancellation: what is unknown or over is passed over without a word.
        request_id: Any = message.params.get("requestId")
        if type(request_id) in (int, str):
            logger.debug("a request was cancelled", extra={"given_reason": cancellation_reason(message.params)})
            await self.services.running.cancel(session, request_id)
        return True

    async def listen(self, exchange: HttpExchange, is_verified: Callable[[], Awaitable[bool]]) -> None:
        """Serve a GET until its stream ends; a HEAD is told that there is one, and opens none (RFC 9110 section 9.3.2).

        Args:
            exchange: nothing has been read or sent.
            is_verified: whether the access token still counts.

        Raises:
            Refused: the request is not one that opens a stream.
            ProtocolError: a header is wrong.
            ClientDisconnected: the client went away.
        """
        headers, principal = exchange.headers, exchange.principal
        # 1. Headers. Without a session there is nothing to listen to.
        if SESSION_HEADER not in headers:
            message = "Send POST; GET is for sessions, and needs the Mcp-Session-Id that initialize was answered with."
            raise Refused(405, Reason.HTTP_METHOD_NOT_ALLOWED, message, headers=((b"allow", b"POST"),))
        if not accepts_events(headers.get(b"accept")):
            raise Refused(406, Reason.NOT_ACCEPTABLE, "Send Accept: text/event-stream.")
        # 2. Which session, and which revision?
        session = await self.session_of(headers, principal, exchange.scope)
        assert session is not None  # noqa: S101 - the header is there; tells mypy
        last_event_id = headers.get(b"last-event-id")
        if last_event_id is not None and session.app != app_of(principal):
            # What was sent on a stream was for the scopes of the app that it was sent to (record 0036).
            raise InvalidJsonRpcRequest("Last-Event-ID names no event of this app's streams.")
        version = eras.version_in_header(headers.get(b"mcp-protocol-version"))
        revision = handshake.revision_in_header(version or session.revision)
        if exchange.scope["method"] == "HEAD":
            await exchange.response.end()
            return

        record = session

        async def is_admitted() -> bool:
            nonlocal record
            if not await is_verified():
                return False
            if self._wakeups.are_heard and record.expires_at > self.services.sessions.now():
                # Its end would be heard, and end the stream.
                record = await self.services.sessions.in_use(record)
                return True
            return await self.services.sessions.find(session_id, principal) is not None

        # 3. Listen.
        session_id = headers[SESSION_HEADER].decode("latin-1")
        listening = self.listening.listen(
            session.session_fingerprint,
            revision,
            exchange,
            last_event_id=last_event_id,
            is_admitted=is_admitted,
        )
        await run_while_connected(listening, exchange.receive)

    async def end(self, exchange: HttpExchange) -> Answer:
        """End a session (DELETE): its streams end, what runs in it is cancelled.

        Raises:
            Refused: no session is named, or there is none, or it is over already.
        """
        headers, principal = exchange.headers, exchange.principal
        session = await self.session_of(headers, principal, exchange.scope)
        if session is None:
            raise Refused(400, Reason.SESSION_MISSING, "Send the Mcp-Session-Id of the session to end.")
        if not await self.services.sessions.end(headers[SESSION_HEADER].decode("latin-1"), principal):
            raise session_unknown()
        self._stop(session.session_fingerprint)
        if self._telemetry is not None:
            labels = {PROTOCOL_VERSION: session.revision, NETWORK_PROTOCOL: "http", NETWORK_TRANSPORT: "tcp"}
            self._telemetry.record(SESSION_DURATION, self.services.sessions.now() - session.created_at, labels)
        return 200, None, ()

    async def lost(self, exchange: HttpExchange) -> Refused:
        """End a session because its target has lost it; return what tells its client so.

        What else runs in it is not cancelled: the target says of each request what became of it.
        """
        session_id = exchange.headers[SESSION_HEADER].decode("latin-1")
        await self.services.sessions.end(session_id, exchange.principal)
        self._stop(fingerprint(session_id), is_cancelling=False)
        return session_unknown()

    async def _end(self, session_id: str, principal: Principal | None) -> None:
        await self.services.sessions.end(session_id, principal)
        self._stop(fingerprint(session_id))

    def _channel(
        self, session_id: str, principal: Principal | None, capabilities: Mapping[str, Any]
    ) -> StreamChannel | None:
        """Build what a target reaches the session's client by; None for one that keeps nothing for sessions."""
        if self._target is None:
            return None
        return StreamChannel(
            fingerprint(session_id),
            principal,
            capabilities,
            listening=self.listening,
            client_requests=self.services.client_requests,
            end=partial(self._end, session_id, principal),
        )

    def close(self) -> None:
        """End the streams that GETs hold open: the server is shutting down. What runs goes on to its end."""
        self.listening.close()

    def hear(self, wakeup: Wakeup) -> None:
        """Look at what another process says that it has done. In the event loop."""
        key, stream = wakeup.session, (wakeup.session, wakeup.name)
        if wakeup.is_own:
            return  # who has to know of it here was told at once
        match wakeup.kind:
            case WakeupKind.RESPONSE:
                self._waiters.wake(stream)
            case WakeupKind.STREAM:
                self._waiters.wake(stream)
                if stream in self.services.streams.live:
                    self.services.running.look_at(key)
            case WakeupKind.CANCELLED:
                self.services.running.look_at(key)
            case WakeupKind.SESSION_ENDED if key:
                self._ended_elsewhere(key)
            case WakeupKind.SESSION_ENDED:
                self.catch_up()

    def catch_up(self) -> None:
        """Look at everything that another process may have done. In the event loop."""
        if self._wakeups.are_heard:
            # When others are heard no more, nothing has been missed yet, and the store may be what cannot be asked.
            self.services.sessions.forget_all()
        self._waiters.wake_all()
        self.services.running.look_at_all()

    def _stop(self, session_fingerprint: bytes, *, is_cancelling: bool = True) -> None:
        """Stop what goes on here in a session that is over."""
        self.listening.end(session_fingerprint)
        self.services.streams.forget(session_fingerprint)
        if is_cancelling:
            self.services.running.stop(session_fingerprint)
        if self._target is not None:
            self._target.session_ended(session_fingerprint)

    def _ended_elsewhere(self, session_fingerprint: bytes) -> None:
        self.services.sessions.forget({session_fingerprint})
        self._stop(session_fingerprint)


def session_unknown() -> Refused:
    """Return 404, on which a client begins anew (basic/transports, "Session Management")."""
    return Refused(404, Reason.SESSION_UNKNOWN, "There is no such session. Send initialize to begin another one.")
