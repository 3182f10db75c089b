"""`subscriptions/listen` before several servers: one subscription of the client's, and one for it at each of them.

One at a server that has ended, or could not begin, is begun again, for as long as the client listens; then its lists
may have changed (2026-07-28 basic/patterns/subscriptions).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, Self

from gatepost.fronts.changes import change_of
from gatepost.fronts.merging.part import Part
from gatepost.protocol.errors import ApplicationError, ProtocolError
from gatepost.protocol.messages import Request
from gatepost.protocol.versions import REVISION_2026_07_28
from gatepost.server.calls.exchange import Exchange
from gatepost.server.changes.bus import Change, LocalChanges
from gatepost.server.changes.subscriptions import Subscription, Subscriptions
from gatepost.server.errors import InsufficientScope

Pause = Callable[[float], Coroutine[Any, Any, None]]
"""Waits so many seconds."""
_KINDS: Final = ("tools", "prompts", "resources")
_URIS: Final = "resourceSubscriptions"
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0

logger = logging.getLogger("gatepost.front")


class MergedListening:
    """The subscriptions of one endpoint.

    Args:
        parts: the servers.
        info: who answers.
        owner: returns whose a URI is, of those that a user knows; None where that is unknown.
        pause: waits before a server is asked again.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        info: Mapping[str, Any],
        owner: Callable[[Exchange, str], Part | None],
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._parts, self._owner, self._pause = parts, owner, pause
        self._subscriptions = Subscriptions(LocalChanges(), server_info=info, on_change=self._on_change)
        self._following: dict[Subscription, list[asyncio.Task[None]]] = {}

    def prepare(self, request: Request, exchange: Exchange, offered: Mapping[str, Any]) -> Subscription:
        """Return the subscription that a request asks for; raises as `Subscriptions.prepare`."""
        return self._subscriptions.prepare(request, exchange, offered=offered, may_see=lambda _: True)

    async def end_all(self) -> None:
        """End them with their results."""
        await self._subscriptions.end_all()

    def _on_change(self, subscription: Subscription, is_open: bool) -> None:  # noqa: FBT001 - a callback
        if is_open:
            loop = asyncio.get_running_loop()
            self._following[subscription] = [
                loop.create_task(self._follow(subscription, part, wanted))
                for part in self._parts
                if (wanted := self._wanted(subscription, part))
            ]
        else:
            for task in self._following.pop(subscription, ()):
                task.cancel()

    def _wanted(self, subscription: Subscription, part: Part) -> dict[str, Any]:
        """Return what is to be asked of a server: all that it may know of what the client wants."""
        asked = subscription.params["notifications"]
        wanted: dict[str, Any] = {}
        for kind in _KINDS:
            if asked.get(f"{kind}ListChanged") and part.may_offer(kind):
                wanted[f"{kind}ListChanged"] = True
        if part.may_offer("resources"):
            uris = [uri for uri in subscription.uris if self._owner(subscription.exchange, uri) in {None, part}]
            if uris:
                wanted[_URIS] = uris
        return wanted

    async def _follow(self, subscription: Subscription, part: Part, wanted: Mapping[str, Any]) -> None:
        """Listen to one server for as long as the client listens."""
        request = Request(subscription.id, "subscriptions/listen", {**subscription.params, "notifications": wanted})
        pause, is_first = _FIRST_PAUSE, True
        while True:
            try:
                async with _Listening() as listening:
                    await listening.begin(part, request, subscription)
                    if not is_first:
                        for kind in _KINDS:
                            if f"{kind}ListChanged" in wanted:
                                subscription.offer(Change(kind))
                    pause = _FIRST_PAUSE
                    await listening.ended
            except (ApplicationError, InsufficientScope) as error:
                logger.debug("%s behind refused a subscription: %s", part.label, type(error).__name__)
                return
            except ProtocolError as error:
                logger.debug("%s behind cannot be listened to now: %s", part.label, type(error).__name__)
            is_first = False
            await self._pause(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


class _Listening:
    """One subscription at one server."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._inner: Subscription | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._inner is not None:
            self._inner.leave()

    async def begin(self, part: Part, request: Request, outer: Subscription) -> None:
        """Begin it; raises as `Part.ask`."""
        result = await part.ask(request, REVISION_2026_07_28, _Relayed(outer))
        if isinstance(result, Subscription):
            self._inner = result
            await result.begin(self._end)

    async def _end(self, result: dict[str, Any]) -> None:
        del result
        if not self.ended.done():
            self.ended.set_result(None)


class _Relayed(Exchange):
    """The exchange of a subscription at a server: what it says of changes becomes the client's."""

    __slots__ = ("_outer",)

    def __init__(self, outer: Subscription) -> None:
        super().__init__(outer.exchange.principal, outer.exchange.headers)
        self._outer = outer

    @property
    def granted(self) -> frozenset[str] | None:
        return self._outer.exchange.granted

    def notify(self, method: str, params: Mapping[str, Any]) -> Coroutine[Any, Any, None]:
        change = change_of(method, params)
        if change is not None:
            self._outer.offer(change)
        return self.send(b"")  # which goes nowhere
