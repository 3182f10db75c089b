"""Requests to clients of the handshake era: they go out on a request's stream, responses come in with later POSTs.

A response reaches whoever waits for it through the store, so it may arrive at another process than the one that asked.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from gatepost.protocol.messages import Response, notification
from gatepost.server.calls.callers import user_of
from gatepost.server.calls.pending_requests import (
    MOST_PENDING,
    RESPONSE_SECONDS,
    TooManyClientRequests,
    message_of,
    result_of,
)
from gatepost.stores.contract.mcp import McpClientRequestStore, McpSession
from gatepost.tokens.opaque import RandomBytes, identifier
from gatepost.web.mcp.exchange.http_exchange import HttpExchange
from gatepost.web.mcp.exchange.ordered_writer import OrderedWriter
from gatepost.web.mcp.sessions.waiters import Waiters, wait

MOST_OF_USER: Final = 256
"""How many requests of one user may wait for a response, in whatever sessions: a call outlives its connection."""


@dataclass(slots=True)
class StoredClientRequests:
    """The requests that wait for a response, of all sessions."""

    store: McpClientRequestStore
    waiters: Waiters
    now: Callable[[], int]
    random_bytes: RandomBytes
    poll_seconds: float = 1.0
    """How often the store is polled for a response that another process received."""
    pending: Counter[bytes | tuple[str, str]] = field(default_factory=Counter)
    """How many wait, by session and by user."""

    async def respond(self, session: McpSession, response: Response) -> bool:
        """Take a response; False when this session was not sent that request, or has answered it already."""
        if type(response.id) is not str:
            return False
        key = session.session_fingerprint
        content = orjson.dumps([response.result, response.error])
        is_first = await self.store.respond(key, response.id, content, now=self.now())
        if is_first:
            self.waiters.wake((key, response.id))
        return is_first

    async def send(self, key: bytes, exchange: HttpExchange, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send a request on the stream of an exchange in the session `key`, and return the result.

        Raises as `McpClient.request` does.
        """
        user = user_of(exchange.principal)
        if self.pending[key] >= MOST_PENDING or (user is not None and self.pending[user] >= MOST_OF_USER):
            raise TooManyClientRequests
        request_id = identifier("ask_", self.random_bytes)
        counted = (key,) if user is None else (key, user)
        self.pending.update(counted)
        stream: OrderedWriter | None = None
        content: bytes | None = None
        try:
            await self.store.open(key, request_id, expires_at=self.now() + RESPONSE_SECONDS)
            stream = exchange.open_stream()
            if stream is None:
                raise asyncio.CancelledError
            await stream.send(message_of(request_id, request))
            content = await self._response(key, request_id)
        finally:
            self.pending.subtract(counted)
            for one in counted:
                if not self.pending[one]:
                    del self.pending[one]
            if content is None:
                # Nobody waits any more (basic/utilities/cancellation).
                await self.store.withdraw(key, request_id)
                if stream is not None:
                    await stream.send(notification("notifications/cancelled", {"requestId": request_id}))
        return result_of(*orjson.loads(content))

    async def _response(self, key: bytes, request_id: str) -> bytes:
        last = self.now() + RESPONSE_SECONDS
        with self.waiters.expected((key, request_id)) as event:
            while True:
                content = await self.store.take_response(key, request_id)
                if content is not None:
                    return content
                if self.now() >= last:
                    raise TimeoutError("the client did not answer in time")
                await wait(event, self.poll_seconds)
                event.clear()
