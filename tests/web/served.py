"""Routes behind a routing table, with nothing else around them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gatepost.web.site.direct_app import DirectApp
from gatepost.web.site.errors import ErrorResponses
from gatepost.web.site.front_door import OrdinaryRequests
from gatepost.web.site.patience import Waiting
from gatepost.web.site.routing import Route, RoutingTable


class Served:
    """An ASGI app that answers routes; a test may add some later."""

    def __init__(self, routes: Iterable[Route] = (), waiting: Waiting | None = None) -> None:
        self.waiting = waiting
        self.routes: list[Route] = []
        self.add(routes)

    def add(self, routes: Iterable[Route]) -> None:
        self.routes += routes
        elsewhere = PlainTextResponse("nothing is served here", 404)
        self._table = RoutingTable(elsewhere, routes=self.routes, errors=ErrorResponses(), waiting=self.waiting)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._table(scope, receive, send)


def direct_app(ordinary: OrdinaryRequests, layers: Callable[[ASGIApp], ASGIApp], *described: Route) -> DirectApp:
    """An app as `create_app` returns it, with layers of the test's."""
    return DirectApp(
        title="Notes",
        version="1",
        ordinary=ordinary,
        layers=layers,
        described=lambda: described,
        errors=ErrorResponses(),
    )
