"""The app that `run()` serves where nobody can add to it: our own layers alone.

FastAPI is not imported: that alone takes a third of a start (record 0079).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from gatepost.telemetry.request_ids import RequestIds
from gatepost.web.site.base_path import BasePath
from gatepost.web.site.errors import ErrorResponses
from gatepost.web.site.front import Front
from gatepost.web.site.front_door import OrdinaryRequests
from gatepost.web.site.opening import AppLifespan, OpenAndClosed
from gatepost.web.site.routing import Route
from gatepost.web.site.routing import described as operations_of

_OPENAPI = "3.1.0"


class ServedApp:
    """Our layers, for a server that runs the ASGI lifespan; arguments as of `DirectApp`."""

    def __init__(
        self,
        *,
        title: str,
        version: str,
        life: OpenAndClosed,
        ordinary: OrdinaryRequests,
        layers: Callable[[ASGIApp], ASGIApp],
        described: Callable[[], Iterable[Route]],
        errors: ErrorResponses,
        base_path: BasePath,
        request_ids: RequestIds,
    ) -> None:
        self._info = {"title": title, "version": version}
        self._described = described
        self._errors = errors
        self._lifespan = AppLifespan(life)
        self._router = Router(lifespan=self._lifespan)
        self._front = Front(layers(self._not_found), ordinary, base_path, request_ids)
        self._description: dict[str, Any] | None = None

    def openapi(self) -> dict[str, Any]:
        """Return the API description (OpenAPI 3.1, OpenAPI Object), the same object each time."""
        if self._description is None:
            paths = operations_of(self._described())
            self._description = {"openapi": _OPENAPI, "info": self._info, "paths": paths}
        return self._description

    def has_route(self, _scope: Scope) -> bool:
        """Say that no user has added a route: nobody can."""
        return False

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            return self._router(scope, receive, self._lifespan.saying_why(send))
        scope["app"] = self
        return self._front(scope, receive, send)

    async def _not_found(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # a WebSocket, which none of our own routes takes
            await self._router.not_found(scope, receive, send)
            return
        await self._errors.response(Request(scope), HTTPException(404))(scope, receive, send)
