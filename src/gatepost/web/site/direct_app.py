"""The app that `create_app` returns: FastAPI behind the routing table (record 0029)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from gatepost.web.site.api_description import ANYWHERE
from gatepost.web.site.errors import ErrorResponses, install_error_handlers
from gatepost.web.site.front_door import OrdinaryRequests
from gatepost.web.site.routing import Route
from gatepost.web.site.routing import described as operations_of


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
        lifespan: Lifespan[FastAPI] | None,
        ordinary: OrdinaryRequests,
        layers: Callable[[ASGIApp], ASGIApp],
        described: Iterable[Route],
        errors: ErrorResponses,
    ) -> None:
        """Prepare; the layers are built when nobody can add middleware any more.

        `ordinary` goes past all layers. `layers` is given what serves everything else, and returns the outermost layer;
        `described` are the routes in them. `errors` answers what routes raise that a user adds.
        """
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
        document["paths"] = operations_of(self._described) | document["paths"]
        return document

    def build_middleware_stack(self) -> ASGIApp:
        """Build the stack, once nobody can add to it any more, and see whether we are the outermost."""
        stack = super().build_middleware_stack()
        if self.user_middleware[0] is self._outermost:
            self._bare_stack = stack
        return stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
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
