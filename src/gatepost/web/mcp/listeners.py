"""Holding `subscriptions/listen` streams open: keep-alive, and an end when their token no longer counts.

A stream costs its own request's task, which waits for the client to leave, and nothing that runs. All of them share one
timer, which looks after a part of them every second, so that thousands do not wake up at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn

from gatepost.protocol.messages import result_response
from gatepost.server.changes.subscriptions import Subscription
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.web.mcp.exchange.event_stream import KEEP_ALIVE
from gatepost.web.mcp.exchange.http_exchange import HttpExchange
from gatepost.web.site.request_body import ClientDisconnected

KEEP_ALIVE_SECONDS: Final = 15
"""How often each stream gets a comment and its token is looked at again."""

CallLater = Callable[[float, Callable[[], None]], object]
"""As `asyncio.AbstractEventLoop.call_later`: seconds, and what to call then."""
IsVerified = Callable[[], Awaitable[bool]]


class Listeners:
    """The streams of one endpoint."""

    def __init__(self, *, call_later: CallLater | None = None) -> None:
        self._call_later = call_later
        self._due: tuple[set[_Held], ...] = tuple(set() for _ in range(KEEP_ALIVE_SECONDS))
        """The streams by the second of the round in which they are looked after."""
        self._second = 0
        self._last_due = 0
        self._is_ticking = False

    async def hold(self, subscription: Subscription, exchange: HttpExchange, is_verified: IsVerified) -> NoReturn:
        """Serve a subscription until its client or the server ends it. There is nobody to answer then.

        Args:
            subscription: not begun yet.
            exchange: that of its request, the body read to the end.
            is_verified: says whether the token of the request still counts.

        Raises:
            TooManySubscriptions: there are too many.
            ClientDisconnected: in any other case.
        """

        async def end(result: dict[str, Any]) -> None:
            await exchange.finish(result_response(subscription.id, result))

        held = _Held(subscription, exchange, is_verified)
        self._last_due = (self._last_due + 1) % KEEP_ALIVE_SECONDS
        due = self._due[self._last_due]
        try:
            await subscription.begin(exchange, end)
            due.add(held)
            self._tick_on()
            # After the end of a response there is a disconnect to receive, too (ASGI specification, "Disconnect").
            while (await exchange.receive())["type"] != "http.disconnect":
                pass
        finally:
            due.discard(held)
            held.stop()
            subscription.leave()
        raise ClientDisconnected

    def _tick_on(self) -> None:
        if not self._is_ticking:
            self._is_ticking = True
            (self._call_later or asyncio.get_running_loop().call_later)(1.0, self._tick)

    def _tick(self) -> None:
        self._is_ticking = False
        self._second = (self._second + 1) % KEEP_ALIVE_SECONDS
        for held in self._due[self._second]:
            held.look_after()
        if any(self._due):
            self._tick_on()


class _Held:
    """One stream."""

    __slots__ = ("_exchange", "_is_verified", "_subscription", "_task")

    def __init__(self, subscription: Subscription, exchange: HttpExchange, is_verified: IsVerified) -> None:
        self._subscription = subscription
        self._exchange = exchange
        self._is_verified = is_verified
        self._task: asyncio.Task[None] | None = None

    def look_after(self) -> None:
        # A client that has not taken the last comment yet needs no second one.
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._look_after())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _look_after(self) -> None:
        try:
            if await self._counts():
                await self._exchange.send(KEEP_ALIVE)
            else:
                await self._subscription.end()
        except OSError:
            # The client is gone, and its request is about to find out.
            pass
        finally:
            self._task = None

    async def _counts(self) -> bool:
        try:
            return await self._is_verified()
        except StoreUnavailable:
            # What cannot be known now is no reason to end what was allowed; it is asked again in a moment.
            return True
