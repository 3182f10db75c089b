"""A target whose tools, prompts and resources have scopes by name, because what answers declares none."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from gatepost.late_dataclass import dataclass
from gatepost.protocol.messages import Notification, Request
from gatepost.protocol.versions import Revision
from gatepost.resource.scope_map import LISTS, ScopeMap
from gatepost.server.calls.exchange import Exchange
from gatepost.server.errors import InsufficientScope
from gatepost.server.target import Result, Target


@dataclass(frozen=True, slots=True, eq=False)
class ScopedTarget:
    """A `Target` that asks a `ScopeMap` before it hands a message on, and of a list shows what the caller may use."""

    target: Target
    """What answers; its results are objects, not JSON already."""
    scopes: ScopeMap

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Open what the target needs."""
        return self.target.lifespan()

    async def answer(self, request: Request, revision: Revision, exchange: Exchange) -> Result:
        """Answer a request whose sender may.

        Raises:
            InsufficientScope: the caller may not.
            ProtocolError: as the target raises it.
        """
        needs = self.scopes.needed(request.method, request.params)
        if exchange.granted is not None and not needs <= exchange.granted:
            raise InsufficientScope(needs)
        try:
            result = await self.target.answer(request, revision, exchange)
        except InsufficientScope as error:
            raise error.beside(needs) from None
        if not isinstance(result, dict):
            return result
        if "cacheScope" in result and self.scopes.is_private(request.method, request.params):
            result = {**result, "cacheScope": "private"}
        member = LISTS.get(request.method)
        if member is None or type(result.get(member)) is not list:
            return result
        shown = [entry for entry in result[member] if self.scopes.shows(member, entry, exchange.shown)]
        return {**result, member: shown}

    async def drain(self) -> None:
        """End what would last until the server stops."""
        await self.target.drain()

    async def notice(self, notification: Notification, revision: Revision, exchange: Exchange) -> None:
        """Hand a notification on; one whose sender may not is dropped."""
        if exchange.granted is None or self.scopes.needed(notification.method, notification.params) <= exchange.granted:
            await self.target.notice(notification, revision, exchange)
