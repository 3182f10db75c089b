"""An open stream of `subscriptions/listen` over HTTP, and whether who opened a stream may keep it.

Thousands of streams are open at a time and idle nearly always, so an idle one holds little: what only its request
needed is let go of, and there is no task or coroutine beside the request's own (record 0092).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from starlette.types import Scope

from gatepost.protocol.messages import result_response
from gatepost.resource.api_keys import API_KEY_HEADER
from gatepost.resource.principal import Principal
from gatepost.server.calls.exchange import NO_HEADERS
from gatepost.server.changes.subscriptions import Subscription
from gatepost.web.mcp.exchange.http_exchange import HttpExchange
from gatepost.web.mcp.exchange.keep_alive import IsAdmitted, KeepAlive
from gatepost.web.resource.bearer_guard import BearerGuard
from gatepost.web.resource.outer_authentication import UNKNOWN_CALLER
from gatepost.web.resource.refused import BearerRefused
from gatepost.web.site.front_door import ORDINARY_HEADERS
from gatepost.web.site.plain_answers import FAST_PATH
from gatepost.web.site.served_app import ServedApp

CREDENTIAL_HEADERS: Final = frozenset({b"authorization", API_KEY_HEADER})

_SHARED_NAMES: Final = frozenset(
    b"accept accept-encoding connection content-length content-type host mcp-method mcp-protocol-version "
    b"user-agent".split()
)
"""Headers that say one of a few things, and nothing secret."""
_MOST_SHARED: Final = 1000
_LONGEST_SHARED: Final = 128
_known: Final[dict[tuple[bytes, bytes], tuple[bytes, bytes]]] = {}


def _shared(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """Return a header, the same object for all streams whose clients send it, as far as that is worth it."""
    if header[0] not in _SHARED_NAMES or len(header[1]) > _LONGEST_SHARED:
        return header
    return _known.get(header) or (_known.setdefault(header, header) if len(_known) < _MOST_SHARED else header)


class StreamAdmission:
    """Says, while a stream is open, whether the token that opened it still counts, for all it did: an `IsAdmitted`.

    Args:
        guard: verifies tokens; None where nobody asks for one.
        scope: of the request that opened the stream.
        opened_by: who sent it.
    """

    __slots__ = ("_evictions", "_guard", "_headers", "_opened_by", "_query_string", "_verified")

    def __init__(self, guard: BearerGuard | None, scope: Scope, opened_by: Principal | None) -> None:
        self._guard = None if UNKNOWN_CALLER in scope else guard
        self._headers: list[tuple[bytes, bytes]] = scope["headers"]
        self._query_string: bytes = scope.get("query_string", b"")
        self._opened_by = opened_by
        self._verified: Principal | None = None
        self._evictions = 0

    async def __call__(self) -> bool:
        """Say so now; raises StoreUnavailable: it cannot be known."""
        guard, opened_by = self._guard, self._opened_by
        if guard is None:
            return True
        if self._verified is not None and guard.is_still_verified(self._verified, self._evictions):
            return True
        evictions = guard.evictions
        try:
            principal = await guard.verify(self._headers, self._query_string)
        except BearerRefused:
            return False
        # An equal one is not kept twice.
        self._verified, self._evictions = opened_by if principal == opened_by else principal, evictions
        # A role that was taken away has taken scopes along, by which the stream says what its client may know.
        return opened_by is None or opened_by.scopes <= principal.scopes


class ChangeStream:
    """The stream of one subscription, from its acknowledgement on.

    Args:
        subscription: it has still to begin.
        exchange: of its request.
    """

    __slots__ = ("_exchange", "_over", "_stop", "_subscription")

    def __init__(self, subscription: Subscription, exchange: HttpExchange) -> None:
        self._subscription = subscription
        self._exchange = exchange
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stop: Callable[[], None] | None = None

    async def begin(self, keep_alive: KeepAlive, is_admitted: IsAdmitted) -> None:
        """Acknowledge the subscription, and keep its stream alive; raises TooManySubscriptions."""
        subscription, exchange = self._subscription, self._exchange
        try:
            await subscription.begin(self._end)
        except BaseException:
            subscription.leave()
            raise
        self._stop = keep_alive.add(exchange.response, is_admitted, subscription.end)
        # Nothing reads them any more, but for the list, which outer layers may.
        exchange.headers = NO_HEADERS
        exchange.scope.pop(ORDINARY_HEADERS, None)
        if isinstance(headers := exchange.scope["headers"], list):
            headers[:] = map(_shared, headers)

    async def until_over(self) -> None:
        """Wait until the client has disconnected, or the server has ended the stream."""
        receive = self._exchange.receive
        watch = self._exchange.scope.get(FAST_PATH)
        try:
            if watch is not None and watch.on_disconnect(receive, self._is_over):
                if isinstance(self._exchange.scope.get("app"), ServedApp):
                    # All layers are ours. One of a user's might listen for the disconnect as well.
                    watch.rest()
                await self._over
                watch.forget()
            else:
                # After the end of a response there is a disconnect to receive, too (ASGI specification, "Disconnect").
                while (await receive())["type"] != "http.disconnect":
                    pass
        finally:
            if self._stop is not None:
                self._stop()
            self._subscription.leave()

    async def _end(self, result: dict[str, Any]) -> None:
        try:
            await self._exchange.finish(result_response(self._subscription.id, result))
        finally:
            self._is_over()

    def _is_over(self) -> None:
        if not self._over.done():
            self._over.set_result(None)
