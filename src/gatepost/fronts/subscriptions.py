"""`subscriptions/listen` in front of a server of the handshake era, which knows `resources/subscribe`.

Changes of lists come from the server's own notifications; a resource is subscribed to there for as long as somebody
watches it here (2026-07-28 basic/patterns/subscriptions; 2025-11-25 server/resources, "Subscriptions").
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Any

from gatepost.fronts.backend import BackendLost, BackendUnavailable
from gatepost.fronts.introduction import Silent
from gatepost.fronts.session import BackendSession
from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import ApplicationError
from gatepost.protocol.messages import Request
from gatepost.server.calls.exchange import Exchange
from gatepost.server.changes.bus import ChangeBus
from gatepost.server.changes.subscriptions import Subscription, Subscriptions
from gatepost.server.errors import ToolError

logger = logging.getLogger("gatepost.front")


@dataclass(slots=True, eq=False)
class ServerSubscriptions:
    """Those that one session with a server serves."""

    session: BackendSession
    changes: ChangeBus
    """Carries what the server says of changes."""
    is_watched: Callable[[str], bool]
    """Says whether a client of the handshake era, which shares the session, has subscribed to a resource."""
    _open: Subscriptions | None = field(default=None, init=False)
    _watching: Counter[str] = field(default_factory=Counter[str], init=False)
    """How many watch each resource."""
    _telling: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"], init=False)

    def __len__(self) -> int:
        """Return how many are open."""
        return 0 if self._open is None else len(self._open)

    def prepare(self, request: Request, exchange: Exchange, info: Mapping[str, Any]) -> Subscription:
        """Return the subscription that a request asks for; raises as `Subscriptions.prepare`.

        Args:
            request: whose sender may know of what it names.
            exchange: notifications go there.
            info: who the server is.
        """
        if self._open is None:
            self._open = Subscriptions(self.changes, server_info=info, on_change=self._on_change)
        return self._open.prepare(request, exchange, offered=self.session.capabilities, may_see=lambda _: True)

    def watches(self, uri: str) -> bool:
        """Say whether any of them is about a resource."""
        return uri in self._watching

    def leave(self, uris: Iterable[str]) -> None:
        """Unsubscribe from resources that no client of the handshake era watches any more, unless one of these does."""
        for uri in uris:
            if not self.watches(uri):
                self._tell("resources/unsubscribe", uri)

    async def end_all(self) -> None:
        """End them with their results: nothing more will be heard of the server."""
        if self._open is not None:
            await self._open.end_all()

    def _on_change(self, subscription: Subscription, is_open: bool) -> None:  # noqa: FBT001 - a callback
        features = self.session.capabilities.get("resources")
        if type(features) is not dict or features.get("subscribe") is not True:
            return
        for uri in subscription.uris:
            before = self._watching[uri]
            self._watching[uri] += 1 if is_open else -1
            if not self._watching[uri]:
                del self._watching[uri]
            # Who shares the session and watches it still must not lose it with this subscription.
            if before == 0 or (uri not in self._watching and not self.is_watched(uri)):
                self._tell("resources/subscribe" if is_open else "resources/unsubscribe", uri)

    def _tell(self, method: str, uri: str) -> None:
        telling = asyncio.get_running_loop().create_task(self._ask(method, uri))
        # The loop itself holds tasks weakly.
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def _ask(self, method: str, uri: str) -> None:
        try:
            await self.session.request(method, {"uri": uri}, Silent())
        except (ApplicationError, BackendLost, BackendUnavailable, ToolError) as error:
            logger.debug("the server behind refused %s: %s", method, type(error).__name__)
