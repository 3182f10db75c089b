"""Routes that are found by their path alone, ahead of the framework's router.

The router tries its routes one after the other, each through several layers, and that costs a busy endpoint more than
its own work. The routes stay in the router too, which describes them and answers what is not theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import request_response
from starlette.types import ASGIApp, Receive, Scope, Send

from gatepost.web.site.routing import Route


class DirectRoutes:
    """Hands requests for some routes to their endpoints, with the app's own exception handlers around them."""

    def __init__(
        self, app: ASGIApp, *, routes: Iterable[Route], paths: Iterable[str], handlers: Mapping[Any, Any]
    ) -> None:
        """Prepare.

        Args:
            app: serves everything else.
            routes: where those of `paths` are found.
            paths: which of them are direct; their endpoints take a `Request` and return a `Response`, and nothing else.
            handlers: the app's exception handlers, complete by the time that its middleware is built.
        """
        self.app = app
        self._routes = {
            (method, route.path): (route, ExceptionMiddleware(request_response(route.handler), handlers=handlers))
            for route in routes
            if route.path in paths
            for method in route.methods
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch one request."""
        found = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if found is None:
            await self.app(scope, receive, send)
            return
        route, endpoint = found
        scope.update(route=route, endpoint=route.handler, path_params={})
        await endpoint(scope, receive, send)
