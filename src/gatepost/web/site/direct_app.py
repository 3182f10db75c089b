"""The app that `create_app` returns: FastAPI, with a way past FastAPI for the requests that need nothing of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from gatepost.web.site.front_door import McpFirst, OrdinaryRequests
from gatepost.web.site.routing import Route, described


class DirectApp(FastAPI):
    """A FastAPI app that hands ordinary MCP requests to their endpoint before any layer of the framework sees them.

    The framework's own layers (telemetry, the error page of last resort, the middleware stack) cost up to a fifth of a
    small call (record 0018) and do nothing for the endpoint: it answers every error itself. As soon as the user puts
    middleware around the app, the requests go through that first, and `McpFirst` still takes them past the rest.
    """

    _ordinary: OrdinaryRequests
    _outermost: Middleware | None = None
    _is_outermost = False
    _described: Iterable[Route] = ()

    def describe(self, routes: Iterable[Route]) -> None:
        """Have the API description name `routes` too, which are no routes of FastAPI's."""
        self._described = routes

    def openapi(self) -> dict[str, Any]:
        """Return the API description."""
        document = super().openapi()
        document["paths"] = described(self._described) | document["paths"]
        return document

    def put_first(self, ordinary: OrdinaryRequests) -> None:
        """Make `ordinary` the first to see a request; to be called when all other middleware of ours is in place."""
        self._ordinary = ordinary
        self.add_middleware(McpFirst, ordinary=ordinary)
        # The last that was added is the first in the list.
        self._outermost = self.user_middleware[0]

    def build_middleware_stack(self) -> ASGIApp:
        """Build the stack, once nobody can add to it any more, and see whether we are the outermost."""
        self._is_outermost = self._outermost is not None and self.user_middleware[0] is self._outermost
        return super().build_middleware_stack()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        endpoint = self._ordinary.endpoint_of(scope) if self._is_outermost else None
        if endpoint is None:
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        await endpoint(scope, receive, send)
