"""The exchange of a request in a session: it is also the session, as the request's target sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import RequestId
from gatepost.resource.principal import Principal
from gatepost.server.calls.cancellation import CancelScope
from gatepost.server.calls.exchange import InputRequests, Results, SendMessage
from gatepost.server.calls.pending_client_requests import DEFAULT_LOG_LEVEL, MOST_SUBSCRIPTIONS, PendingClientRequests
from gatepost.server.target import Result
from gatepost.stores.contract.mcp import McpSession
from gatepost.web.mcp.exchange.headers import accepts_events
from gatepost.web.mcp.exchange.http_exchange import HttpExchange
from gatepost.web.mcp.exchange.keep_alive import KeepAlive
from gatepost.web.mcp.sessions.lifecycle import SESSION_HEADER, McpSessions
from gatepost.web.mcp.sessions.running_requests import RunningRequests
from gatepost.web.mcp.sessions.session_streams import RequestStreams, SessionStream


@dataclass(frozen=True, slots=True)
class SessionServices:
    """What the exchanges of all sessions share."""

    sessions: McpSessions
    streams: RequestStreams
    running: RunningRequests
    client_requests: PendingClientRequests


class SessionExchange(HttpExchange):
    """One request of a session. Building it costs next to nothing.

    The coroutine that answers it runs in the request's own task, which goes on when the client disconnects: that is no
    cancellation here (basic/transports, "Sending Messages to the Server").

    Args:
        scope: the request's ASGI scope.
        receive: its ASGI channel.
        send: likewise; nothing has been sent on it.
        principal: who sends it.
        headers: by name, in lower case; `SESSION_HEADER` is among them.
        record: its session.
        request_id: what the client calls it.
        services: what all sessions share.
    """

    __slots__ = ("_scope", "_services", "is_watched", "record", "request_id")

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        principal: Principal | None,
        headers: Mapping[bytes, bytes],
        *,
        record: McpSession,
        request_id: RequestId,
        services: SessionServices,
    ) -> None:
        super().__init__(scope, receive, send, principal, headers)
        self.record = record
        self.request_id = request_id
        self._services = services
        self._scope: CancelScope | None = None
        self.is_watched = False
        """Whether it was running at the last poll for what other processes were told."""

    @property
    def session(self) -> SessionExchange:
        return self

    @property
    def session_key(self) -> bytes:
        return self.record.session_fingerprint

    @property
    def client_capabilities(self) -> Mapping[str, Any]:
        """What `initialize` declared; nothing for a client that takes no stream now, and so cannot be asked."""
        if not self._takes_stream():
            return {}
        capabilities: Mapping[str, Any] = orjson.loads(self.record.client_capabilities)
        return capabilities

    @property
    def log_level(self) -> str | None:
        return self.record.log_level or DEFAULT_LOG_LEVEL if self._takes_stream() else None

    async def request(self, requests: InputRequests) -> Results:
        return await self._services.client_requests.request(self.record.session_fingerprint, self, requests)

    def sink(self) -> SendMessage | None:
        stream = self.open_stream()
        return None if stream is None else stream.send

    async def set_log_level(self, level: str) -> None:
        session_id = self.headers[SESSION_HEADER].decode("latin-1")
        await self._services.sessions.set_log_level(session_id, self.record, level)

    async def subscribe(self, uri: str, *, as_sent: str) -> bool:
        store = self._services.sessions.store
        return await store.subscribe(self.record.session_fingerprint, uri, as_sent=as_sent, limit=MOST_SUBSCRIPTIONS)

    async def unsubscribe(self, uri: str) -> None:
        await self._services.sessions.store.unsubscribe(self.record.session_fingerprint, uri)

    async def close_stream(self) -> None:
        # Clients of other revisions would not come back.
        stream = self.open_stream() if self.revision.primes_streams else None
        if isinstance(stream, SessionStream):
            await stream.close_response()

    async def go_on(
        self,
        coroutine: Coroutine[Any, Any, Result],
        awaited: Any,
        open_scopes: set[CancelScope],
        keep_alive: KeepAlive | None,
    ) -> Result:
        """Go on with what answers the request; `cancel` ends it.

        Raises:
            RequestCancelled: the client cancelled it (basic/utilities/cancellation), or its session has ended; there is
                no response then.
            Exception: whatever the coroutine raises.
        """
        self._scope = CancelScope(self, asyncio.current_task(), open_scopes)
        self._services.running.add(self)
        stop = None if keep_alive is None else keep_alive.add_request(self)
        try:
            return await self._scope.resume(coroutine, awaited)
        finally:
            if stop is not None:
                stop()
            self._services.running.remove(self)
            self._scope = None  # which refers to this; what is in a cycle waits for the garbage collector

    def cancel(self) -> None:
        if self._scope is not None:
            self._scope.cancel()

    async def finish(self, message: bytes | None) -> None:
        if not isinstance(self.stream, SessionStream):
            await super().finish(message)
            return
        self.is_closed = True
        await self._services.streams.finish(self.stream, message)

    def _takes_stream(self) -> bool:
        return accepts_events(self.headers.get(b"accept"))

    def _new_stream(self) -> SessionStream | None:
        if not self._takes_stream():
            return None
        return self._services.streams.open(
            self.record.session_fingerprint, self.response, is_primed=self.revision.primes_streams
        )
