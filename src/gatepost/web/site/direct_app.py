"""The app that `create_app` returns: FastAPI behind the routing table (record 0029)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from fastapi import FastAPI
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from gatepost.web.site.api_description import ANYWHERE
from gatepost.web.site.errors import ErrorResponses, install_error_handlers
from gatepost.web.site.front_door import OrdinaryRequests
from gatepost.web.site.routing import Route
from gatepost.web.site.routing import described as operations_of


class OpenAndClosed(Protocol):
    """What is open while the app is served."""

    @property
    def is_open(self) -> bool:
        """Whether requests can be served."""
        ...

    def running(self) -> AbstractAsyncContextManager[None]:
        """Be open for as long as the context lasts."""
        ...

    async def start(self) -> None:
        """Open for as long as the event loop runs. Raises whatever keeps it from opening."""
        ...


class DirectApp(FastAPI):
    """A FastAPI app behind our own layers, which it describes, and which are all there is around a request of ours.

    The framework's own layers (telemetry, the error page of last resort, the limit of bodies) cost up to a fifth of a
    small call (record 0018) and do nothing for what the routing table serves. As soon as somebody puts middleware
    around the app, every request goes through that first.
    """

    _front: _Front

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
    ) -> None:
        """Prepare; the layers are built when nobody can add middleware any more.

        `life` is run by the ASGI lifespan, or begun by the first request; None where there is nothing to open.
        `ordinary` goes past all layers. `layers` is given what serves everything else, and returns the outermost layer;
        `described` returns the routes in them. `errors` answers what routes raise that a user adds.
        """
        super().__init__(
            title=title,
            version=version,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            responses=ANYWHERE,
            lifespan=None if life is None else lambda _app: life.running(),
            # It would look for its configuration on every request, and could be told from outside to record them whole.
            telemetry={"tracing": False, "metrics": False, "logs": False},
        )
        self.life = life
        self._errors = errors
        self._described = described
        self._bare_stack: object = object()
        """The middleware stack as it is when nothing lies around `_front`."""

        def front(app: ASGIApp) -> ASGIApp:
            self._front = _Front(layers(app), ordinary)
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
            try:
                await self.life.start()
            except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
                await self._errors.not_started(scope, error)(scope, receive, send)
                return
        # Another stack than ours: not built yet, with middleware of a user's, or wrapped by an instrumentation.
        if self.middleware_stack is not self._bare_stack or scope["type"] == "lifespan":
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        front = self._front
        await (front.ordinary.endpoint_of(scope) or front.layers)(scope, receive, send)


class _Front:
    """Our layers as middleware."""

    __slots__ = ("layers", "ordinary")

    def __init__(self, layers: ASGIApp, ordinary: OrdinaryRequests) -> None:
        self.layers = layers
        self.ordinary = ordinary

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.ordinary.endpoint_of(scope) or self.layers)(scope, receive, send)
