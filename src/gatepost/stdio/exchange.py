"""The exchange of one message on stdio, and what `initialize` began."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gatepost.protocol.versions import Revision
from gatepost.server.calls.exchange import Exchange, InputRequests, Results
from gatepost.server.calls.pending_client_requests import (
    DEFAULT_LOG_LEVEL,
    MOST_SUBSCRIPTIONS,
    PendingClientRequests,
    SendMessage,
)
from gatepost.stdio.streams import Outlet

if TYPE_CHECKING:
    from starlette.requests import Request as HTTPRequest


@dataclass(slots=True)
class StdioSession:
    """What `initialize` agreed on, and what the client asked for since."""

    revision: Revision
    client_capabilities: Mapping[str, Any]
    log_level: str = DEFAULT_LOG_LEVEL
    watched: set[str] = field(default_factory=set)


class LocalResponses:
    """Responses as `McpClientRequestStore` keeps them, of the one client of this process."""

    def __init__(self) -> None:
        self._responses: dict[str, bytes | None] = {}

    async def open(self, session_fingerprint: bytes, request_id: str, *, expires_at: int) -> None:
        del session_fingerprint, expires_at
        self._responses[request_id] = None

    async def respond(self, session_fingerprint: bytes, request_id: str, message: bytes, *, now: int) -> bool:
        del session_fingerprint, now
        if self._responses.get(request_id, message) is not None:
            return False
        self._responses[request_id] = message
        return True

    async def take_response(self, session_fingerprint: bytes, request_id: str) -> bytes | None:
        message = self._responses.get(request_id)
        if message is not None:
            await self.withdraw(session_fingerprint, request_id)
        return message

    async def withdraw(self, session_fingerprint: bytes, request_id: str) -> None:
        del session_fingerprint
        self._responses.pop(request_id, None)


class StdioExchange(Exchange):
    """One message.

    Args:
        outlet: where everything goes that is sent for it.
        http_request: builds what tools see as its HTTP request.
    """

    __slots__ = ("_http_request", "_outlet")

    def __init__(self, outlet: Outlet, http_request: Callable[[], HTTPRequest]) -> None:
        # Scopes do not count without tokens, and there are no headers that could mirror a message.
        super().__init__()
        self._outlet = outlet
        self._http_request = http_request

    def http_request(self) -> HTTPRequest:
        return self._http_request()

    async def send(self, message: bytes) -> None:
        if not self.is_closed:
            await self._outlet.send(message)

    def post_message(self, message: bytes) -> None:
        if not self.is_closed:
            self._outlet.post(message)


class StdioSessionExchange(StdioExchange):
    """One request of the handshake era; it is also the session, as the request's target sees it."""

    __slots__ = ("_client_requests", "_state")

    def __init__(
        self,
        outlet: Outlet,
        http_request: Callable[[], HTTPRequest],
        state: StdioSession,
        client_requests: PendingClientRequests,
    ) -> None:
        super().__init__(outlet, http_request)
        self._state = state
        self._client_requests = client_requests

    @property
    def session(self) -> StdioSessionExchange:
        return self

    @property
    def client_capabilities(self) -> Mapping[str, Any]:
        return self._state.client_capabilities

    @property
    def log_level(self) -> str | None:
        return self._state.log_level

    async def request(self, requests: InputRequests) -> Results:
        return await self._client_requests.request(b"", None, requests, self._open_sink)

    async def set_log_level(self, level: str) -> None:
        self._state.log_level = level

    async def subscribe(self, uri: str) -> bool:
        watched = self._state.watched
        if len(watched) >= MOST_SUBSCRIPTIONS and uri not in watched:
            return False
        watched.add(uri)
        return True

    async def unsubscribe(self, uri: str) -> None:
        self._state.watched.discard(uri)

    def _open_sink(self) -> SendMessage | None:
        return None if self.is_closed else self._outlet.send
