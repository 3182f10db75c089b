"""Requests to the client that wait for their responses: handshake era, whatever the transport.

A request goes out on the stream of the request that is being served; its response comes in as a message of its own, and
reaches whoever waits for it through a store, so it may arrive at another process than the one that sent the request.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import field
from typing import Any, Final

import orjson

from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import MethodNotFound
from gatepost.protocol.messages import Response, notification, request_message
from gatepost.server.calls.callers import user_of
from gatepost.server.calls.exchange import Exchange, InputRequests, Results, SendMessage
from gatepost.server.calls.waiters import Pace, Waiters, wait
from gatepost.server.errors import ToolError
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.mcp import McpClientRequestStore
from gatepost.tokens.opaque import RandomBytes, identifier

RESPONSE_SECONDS: Final = 3600
"""How long a response is waited for: people are asked, and they may be away."""
MOST_PENDING: Final = 64
"""How many requests of one session may wait for a response at a time."""
MOST_OF_USER: Final = 256
"""How many of one user may, in whatever sessions: a call outlives its connection."""
DEFAULT_LOG_LEVEL: Final = "info"
"""What a client gets that never sent `logging/setLevel`: for the server to choose (server/utilities/logging)."""
MOST_SUBSCRIPTIONS: Final = 1000
"""How many resources one session may be subscribed to."""


class ClientError(ToolError):
    """The client answered a request with a JSON-RPC error. Where a tool lets it through, its text is the tool's answer.

    Args:
        code: the error's code, `-1` for a user who said no to sampling, say.
        message: the client's words; not to be trusted, nor to be logged.
    """

    def __init__(self, code: int, message: str) -> None:
        is_unknown = code == MethodNotFound.code
        unknown = ": it does not know this request, though it declared that it does" if is_unknown else ""
        super().__init__(f"the client answered with error {code}{unknown}")
        self.code = code
        self.message = message


class TooManyClientRequests(RuntimeError):
    """More requests would wait for a response than the client may have open."""


@dataclass(slots=True, kw_only=True)
class PendingClientRequests:
    """The requests that wait for a response, of all sessions."""

    store: McpClientRequestStore
    waiters: Waiters
    now: Callable[[], int]
    random_bytes: RandomBytes
    """Where ids come from."""
    pace: Pace
    """How often the store is polled for a response that another process received."""
    _count_of: Counter[Hashable] = field(default_factory=Counter, init=False)
    """How many wait, by session and by user."""

    async def respond(self, session: bytes, response: Response) -> bool:
        """Take a response; False when this session was not sent that request, or has answered it already."""
        if type(response.id) is not str:
            return False
        content = orjson.dumps([response.result, response.error])
        waiter = (session, response.id)
        # Who waits here need not be looked for in other processes.
        wakes = not self.waiters.is_expected(waiter)
        is_first = await self.store.respond(*waiter, content, now=self.now(), wakes=wakes)
        if is_first:
            self.waiters.wake(waiter)
        return is_first

    async def request(self, session: bytes, exchange: Exchange, requests: InputRequests) -> Results:
        """Send requests to the client of a session, side by side, as `McpClient.request` does."""
        sent = [asyncio.ensure_future(self._send(session, exchange, request)) for request in requests.values()]
        try:
            results = await asyncio.gather(*sent)
        except BaseException:
            for waiting in sent:
                waiting.cancel()
            await asyncio.gather(*sent, return_exceptions=True)
            raise
        return dict(zip(requests, results, strict=True))

    async def _send(self, session: bytes, exchange: Exchange, request: Mapping[str, Any]) -> Mapping[str, Any]:
        user = user_of(exchange.principal)
        if self._count_of[session] >= MOST_PENDING or (user is not None and self._count_of[user] >= MOST_OF_USER):
            raise TooManyClientRequests("the client has too many unanswered requests")
        request_id = identifier("ask_", self.random_bytes)
        counted: tuple[Hashable, ...] = (session,) if user is None else (session, user)
        self._count_of.update(counted)
        send: SendMessage | None = None
        content: bytes | None = None
        try:
            await self.store.open(session, request_id, expires_at=self.now() + RESPONSE_SECONDS)
            send = exchange.sink()
            if send is None:
                raise asyncio.CancelledError
            await send(_message_of(request_id, request))
            content = await self._response(session, request_id)
        finally:
            self._count_of.subtract(counted)
            for one in counted:
                if not self._count_of[one]:
                    del self._count_of[one]
            # A request that cannot be deleted now goes with its session; what came of it is known.
            with suppress(StoreUnavailable):
                await self.store.withdraw(session, request_id)
            if content is None and send is not None:
                # Nobody waits any more (basic/utilities/cancellation; basic/lifecycle, "Timeouts").
                await send(notification("notifications/cancelled", {"requestId": request_id}))
        return _result_of(*orjson.loads(content))

    async def _response(self, session: bytes, request_id: str) -> bytes:
        last = self.now() + RESPONSE_SECONDS
        with self.waiters.expected((session, request_id)) as event:
            while True:
                event.clear()
                try:
                    content = await self.store.find_response(session, request_id)
                except StoreUnavailable:
                    content = None  # it was a look, and people take longer than a database that restarts
                if content is not None:
                    return content
                if self.now() >= last:
                    raise TimeoutError("the client did not answer in time")
                await wait(event, self.pace.seconds)


def _message_of(request_id: str, request: Mapping[str, Any]) -> bytes:
    """Return a request as it is sent; one that sends the user to a page repeats its id, unless it has one of its own.

    2025-11-25 client/elicitation#url-mode-elicitation-requests: `elicitationId` must be there; later it is not.
    """
    params = request["params"]
    if params.get("mode") == "url":
        params = {"elicitationId": request_id, **params}
    return request_message(request_id, request["method"], params)


def _result_of(result: Mapping[str, Any] | None, error: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if error is None:
        return result or {}
    code, message = error.get("code"), error.get("message")
    raise ClientError(code if type(code) is int else -1, message if type(message) is str else "")
