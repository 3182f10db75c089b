"""Our own layers around a request: below which path it is, and whether it is ordinary and goes past most of them."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

from gatepost.late_dataclass import dataclass
from gatepost.telemetry.request_ids import CURRENT_REQUEST, UNASKED, RequestIds
from gatepost.web.site.base_path import BasePath
from gatepost.web.site.front_door import OrdinaryRequests


@dataclass(frozen=True, slots=True)
class WithRequestId:
    """An application whose requests have an id; the endpoints of MCP see to that themselves."""

    app: ASGIApp
    request_ids: RequestIds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        CURRENT_REQUEST.set((self.request_ids, scope, UNASKED))
        await self.app(scope, receive, send)


class Front:
    """An ASGI application of our layers.

    Args:
        layers: the outermost layer.
        ordinary: requests that go past all layers.
        base_path: finds below which path a request is.
        request_ids: gives requests their ids.
    """

    __slots__ = ("base_path", "layers", "ordinary", "request_ids")

    def __init__(
        self, layers: ASGIApp, ordinary: OrdinaryRequests, base_path: BasePath, request_ids: RequestIds
    ) -> None:
        self.layers = layers
        self.ordinary = ordinary
        self.base_path = base_path
        self.request_ids = request_ids

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection."""
        # A plain function that hands the coroutine on: one less to go through on every step.
        inner = self.base_path.inside(scope) if self.base_path.concerns(scope) else scope
        if inner is None:
            return self.base_path.misplaced(scope)(scope, receive, send)
        endpoint = self.ordinary.endpoint_of(inner)
        return self.pass_layers(inner, receive, send) if endpoint is None else endpoint(inner, receive, send)

    async def pass_layers(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection that is not ordinary; endpoints say themselves whose request is served."""
        CURRENT_REQUEST.set((self.request_ids, scope, UNASKED))
        await self.layers(scope, receive, send)
