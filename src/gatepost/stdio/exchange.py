"""The exchange of one message on stdio, and what `initialize` began."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from gatepost.protocol.messages import Response, notification
from gatepost.protocol.versions import Revision
from gatepost.server.calls.exchange import Exchange, InputRequests, Results
from gatepost.server.calls.pending_requests import (
    DEFAULT_LOG_LEVEL,
    MOST_PENDING,
    RESPONSE_SECONDS,
    TooManyClientRequests,
    message_of,
    result_of,
    send_all,
)
from gatepost.stdio.streams import Outlet

if TYPE_CHECKING:
    from starlette.requests import Request as HTTPRequest

MOST_SUBSCRIPTIONS: Final = 1000
"""How many resources the client may watch."""


@dataclass(slots=True)
class StdioSession:
    """What `initialize` agreed on, and what the client asked for since."""

    revision: Revision
    client_capabilities: Mapping[str, Any]
    log_level: str = DEFAULT_LOG_LEVEL
    watched: set[str] = field(default_factory=set)


class PendingClientRequests:
    """The requests that wait for a response of the client's."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._count = 0
        self._pending: dict[str, asyncio.Future[Response]] = {}

    def respond(self, response: Response) -> bool:
        """Take a response; False when there is no such request, or it was answered already."""
        waiting = self._pending.get(response.id) if type(response.id) is str else None
        if waiting is None or waiting.done():
            return False
        waiting.set_result(response)
        return True

    async def send(self, exchange: StdioExchange, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send a request, and return the result; raises as `McpClient.request` does."""
        if len(self._pending) >= MOST_PENDING:
            raise TooManyClientRequests
        self._count += 1
        request_id = f"ask_{self._count}"
        waiting = self._pending[request_id] = asyncio.get_running_loop().create_future()
        try:
            await exchange.send(message_of(request_id, request))
            async with asyncio.timeout(RESPONSE_SECONDS):
                response = await waiting
        except (asyncio.CancelledError, TimeoutError):
            # Nobody waits any more (basic/utilities/cancellation; basic/lifecycle, "Timeouts").
            self._outlet.post(notification("notifications/cancelled", {"requestId": request_id}))
            raise
        finally:
            del self._pending[request_id]
        return result_of(response.result, response.error)


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
        if self.is_closed:
            raise asyncio.CancelledError
        return await send_all(requests, partial(self._client_requests.send, self))

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
