"""The app that `create_app` returns: FastAPI behind the routing table (record 0029)."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from gatepost.telemetry.request_ids import RandomRequestIds, RequestIds
from gatepost.web.site.api_description import ANYWHERE
from gatepost.web.site.base_path import BasePath
from gatepost.web.site.errors import ErrorResponses, install_error_handlers
from gatepost.web.site.front import Front
from gatepost.web.site.front_door import OrdinaryRequests
from gatepost.web.site.mounting import Mounted
from gatepost.web.site.opening import AppLifespan, OpenAndClosed
from gatepost.web.site.routing import Route
from gatepost.web.site.routing import described as operations_of


class DirectApp(FastAPI):
    """A FastAPI app behind our own layers, which it describes, and which are all there is around a request of ours.

    The framework's own layers (telemetry, the error page of last resort, the limit of bodies) cost up to a fifth of a
    small call (record 0018) and do nothing for what the routing table serves. As soon as somebody puts middleware
    around the app, every request goes through that first.
    """

    _front: Front

    def __init__(
        self,
        *,
        title: str,
        version: str,
        life: OpenAndClosed | None = None,
        ordinary: OrdinaryRequests,
        layers: Callable[[ASGIApp], ASGIApp],
        described: Callable[[], Iterable[Route]],
        errors: ErrorResponses,
        base_path: BasePath | None = None,
        request_ids: RequestIds | None = None,
    ) -> None:
        """Prepare; the layers are built when nobody can add middleware any more.

        `life` is run by the ASGI lifespan, or begun by the first request; None where there is nothing to open.
        `ordinary` goes past all layers. `layers` is given what serves everything else, and returns the outermost layer;
        `described` returns the routes in them. `errors` answers what routes raise that a user adds. `base_path` finds
        below which path a request is; by default the one that the server says. `request_ids` gives requests their ids.
        """
        base_path = base_path or BasePath(None)
        ids = request_ids or RandomRequestIds(secrets.token_bytes)
        lifespan = None if life is None else AppLifespan(life)
        super().__init__(
            title=title,
            version=version,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            responses=ANYWHERE,
            lifespan=lifespan,
            # It would look for its configuration on every request, and could be told from outside to record them whole.
            telemetry={"tracing": False, "metrics": False, "logs": False},
        )
        self.life = life
        self.public_base = base_path.public
        """The path of the public URL; None without one."""
        self._lifespan = lifespan
        self._errors = errors
        self._described = described
        self._bare_stack: object = object()
        """The middleware stack as it is when nothing lies around `_front`."""

        def front(app: ASGIApp) -> ASGIApp:
            self._front = Front(layers(app), ordinary, base_path, ids)
            return self._front

        # The first added is the innermost, and the last added is the first in the list.
        install_error_handlers(self, errors)
        self.add_middleware(front)
        self._outermost = self.user_middleware[0]

    def openapi(self) -> dict[str, Any]:
        """Return the API description."""
        document = super().openapi()
        document["paths"] = operations_of(self._described()) | document["paths"]
        return document

    @asynccontextmanager
    async def lifespan(self, around: Any = None) -> AsyncIterator[Any]:
        """Be open for as long as the context lasts, mostly the lifespan of another app.

        As it is, `FastAPI(lifespan=gate.lifespan)`; or in a lifespan of one's own, with whatever else is opened there:

            @asynccontextmanager
            async def lifespan(app):
                async with gate.lifespan(app), open_pool() as pool:
                    yield {"pool": pool}

        Args:
            around: the app around; None where there is none, as in a test.

        Raises:
            SettingsError: this app is mounted at another path than MCP_PUBLIC_URL says.
        """
        if self._lifespan is not None:
            self._lifespan.mounted = None if around is None else Mounted(self, around, runs_lifespan=True)
        try:
            async with self.router.lifespan_context(self) as state:
                yield state
        finally:
            if self._lifespan is not None:
                self._lifespan.mounted = None

    def has_route(self, scope: Scope) -> bool:
        """Say whether a route that a user added is at the path of an HTTP request, for whatever method."""
        return any(route.matches(scope)[0] is not Match.NONE for route in self.router.routes)

    def build_middleware_stack(self) -> ASGIApp:
        """Build the stack, once nobody can add to it any more, and see whether we are the outermost."""
        stack = super().build_middleware_stack()
        if self.user_middleware[0] is self._outermost:
            self._bare_stack = stack
        return stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if self.life is not None and not self.life.is_open and scope["type"] != "lifespan":
            around = scope.get("app")
            try:
                await self.life.start(None if around is None else Mounted(self, around, runs_lifespan=False))
            except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
                await self._errors.not_started(scope, error)(scope, receive, send)
                return
        # Another stack than ours: not built yet, with middleware of a user's, or wrapped by an instrumentation.
        if self.middleware_stack is not self._bare_stack or scope["type"] == "lifespan":
            if scope["type"] == "lifespan" and self._lifespan is not None:
                send = self._lifespan.saying_why(send)
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        front = self._front
        if scope.get("root_path") or self.public_base:
            await front(scope, receive, send)
            return
        endpoint = front.ordinary.endpoint_of(scope)
        if endpoint is None:
            await front.pass_layers(scope, receive, send)
        else:
            await endpoint(scope, receive, send)
