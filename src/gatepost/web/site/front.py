"""Our own layers around a request: below which path it is, and whether it is ordinary and goes past most of them."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from gatepost.web.site.base_path import BasePath
from gatepost.web.site.front_door import OrdinaryRequests


class Front:
    """An ASGI application of our layers.

    Args:
        layers: the outermost layer.
        ordinary: requests that go past all layers.
        base_path: finds below which path a request is.
    """

    __slots__ = ("base_path", "layers", "ordinary")

    def __init__(self, layers: ASGIApp, ordinary: OrdinaryRequests, base_path: BasePath) -> None:
        self.layers = layers
        self.ordinary = ordinary
        self.base_path = base_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        inner = self.base_path.inside(scope) if self.base_path.concerns(scope) else scope
        if inner is None:
            await self.base_path.misplaced(scope)(scope, receive, send)
            return
        await (self.ordinary.endpoint_of(inner) or self.layers)(inner, receive, send)
