"""The app that `create_app` returns: FastAPI behind the routing table (record 0029)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from fastapi import FastAPI
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatepost.web.site.api_description import ANYWHERE
from gatepost.web.site.base_path import BasePath
from gatepost.web.site.errors import ErrorResponses, install_error_handlers
from gatepost.web.site.front_door import OrdinaryRequests
from gatepost.web.site.mounting import Mounted
from gatepost.web.site.routing import Route
from gatepost.web.site.routing import described as operations_of


class OpenAndClosed(Protocol):
    """What is open while the app is served."""

    @property
    def is_open(self) -> bool:
        """Whether requests can be served."""
        ...

    def running(self, mounted: Mounted | None) -> AbstractAsyncContextManager[None]:
        """Be open for as long as the context lasts; `mounted` says in which other app."""
        ...

    async def start(self, mounted: Mounted | None) -> None:
        """Open for as long as the event loop runs. Raises whatever keeps it from opening."""
        ...


class CannotStart(RuntimeError):
    """What is served cannot be opened. The text says why, in one sentence for whoever starts it."""


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
        base_path: BasePath | None = None,
    ) -> None:
        """Prepare; the layers are built when nobody can add middleware any more.

        `life` is run by the ASGI lifespan, or begun by the first request; None where there is nothing to open.
        `ordinary` goes past all layers. `layers` is given what serves everything else, and returns the outermost layer;
        `described` returns the routes in them. `errors` answers what routes raise that a user adds. `base_path` finds
        below which path a request is; by default the one that the server says.
        """
        base_path = base_path or BasePath(None)
        super().__init__(
            title=title,
            version=version,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            responses=ANYWHERE,
            lifespan=None if life is None else self._running,
            # It would look for its configuration on every request, and could be told from outside to record them whole.
            telemetry={"tracing": False, "metrics": False, "logs": False},
        )
        self.life = life
        self.public_base = base_path.public
        """The path of the public URL; None without one."""
        self._mounted: Mounted | None = None
        self._why_not: str | None = None
        """Why the last start failed."""
        self._errors = errors
        self._described = described
        self._bare_stack: object = object()
        """The middleware stack as it is when nothing lies around `_front`."""

        def front(app: ASGIApp) -> ASGIApp:
            self._front = _Front(layers(app), ordinary, base_path)
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
        self._mounted = None if around is None else Mounted(self, around, runs_lifespan=True)
        try:
            async with self.router.lifespan_context(self) as state:
                yield state
        finally:
            self._mounted = None

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
            await super().__call__(scope, receive, self._saying_why(send) if scope["type"] == "lifespan" else send)
            return
        scope["app"] = self
        front = self._front
        if scope.get("root_path") or self.public_base:
            await front(scope, receive, send)
            return
        await (front.ordinary.endpoint_of(scope) or front.layers)(scope, receive, send)

    @asynccontextmanager
    async def _running(self, _app: FastAPI) -> AsyncIterator[None]:
        assert self.life is not None  # noqa: S101 - it is asked for then alone; tells mypy
        self._why_not = None
        try:
            async with self.life.running(self._mounted):
                yield
        except CannotStart as error:
            self._why_not = str(error)
            raise

    def _saying_why(self, send: Send) -> Send:
        """Put the sentence in the place of the traceback that the framework gives the server for its log."""

        async def said(message: Message) -> None:
            is_known = message["type"] == "lifespan.startup.failed" and self._why_not is not None
            await send({**message, "message": self._why_not} if is_known else message)

        return said


class _Front:
    """Our layers as middleware."""

    __slots__ = ("base_path", "layers", "ordinary")

    def __init__(self, layers: ASGIApp, ordinary: OrdinaryRequests, base_path: BasePath) -> None:
        self.layers = layers
        self.ordinary = ordinary
        self.base_path = base_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        inner = self.base_path.inside(scope) if self.base_path.concerns(scope) else scope
        if inner is None:
            await self.base_path.misplaced(scope)(scope, receive, send)
            return
        await (self.ordinary.endpoint_of(inner) or self.layers)(inner, receive, send)
