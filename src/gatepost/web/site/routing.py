"""The routing table of one origin: from path and method to what answers, ahead of the web framework (record 0029).

An endpoint is a dataclass of its dependencies whose `routes()` returns a `Route` for each method. The table takes the
routes of all endpoints; the app behind it (FastAPI, where a user may add to it) serves the rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import KW_ONLY

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatepost.late_dataclass import dataclass
from gatepost.telemetry.seam import Telemetry
from gatepost.web.site.api_description import Object, Operation
from gatepost.web.site.errors import ErrorResponses
from gatepost.web.site.limits import AddressLimit, AddressLimits
from gatepost.web.site.observed_endpoint import ObservedEndpoint
from gatepost.web.site.patience import CODE_SECONDS, RequestPatience, Waiting

Handler = Callable[[Request], Awaitable[Response]]
Later = tuple[Callable[[str], bool], Callable[[], Iterable["Route"]]]
_THERE_IS_A_PAGE = Response(headers={"Cache-Control": "no-store"}, media_type="text/html")
# How long the page would be is not known.
del _THERE_IS_A_PAGE.headers["Content-Length"]


@dataclass(frozen=True, slots=True)
class Route:
    """One method at one path."""

    method: str
    path: str
    """Perhaps with one parameter, which is its last segment: `/oauth/register/{client_id}`."""
    handler: Handler
    operation: Operation | None = None
    """None: not in the API description."""
    _: KW_ONLY
    limit: AddressLimit | None = None
    """What is counted of the client's address, before anything of the request is read."""
    error_response: Callable[[Request, Exception], Response | None] | None = None
    """What a page answers to errors; where it has no answer, and where this is None, `errors.py` does."""
    patience: float = CODE_SECONDS
    """For how many seconds the request waits while the store is busy."""
    has_effects: bool = False
    """Whether a GET begins, spends or sets something. Its HEAD must not, and says only that there is a page."""

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that it answers: HEAD wherever there is GET (RFC 9110 section 9.1)."""
        return ("GET", "HEAD") if self.method == "GET" else (self.method,)


class RoutingTable:
    """Path → ASGI callable.

    Args:
        app: serves every other path, and what is not HTTP.
        routes: what is served, each with its path and method.
        endpoints: ASGI applications by path, exactly as given; they answer every method, and their errors themselves.
        mounts: ASGI applications by path, for the path and all below it that nothing else is served at; also for
            WebSockets.
        errors: what becomes of errors that a route does not answer itself.
        limits: count what the routes say is to be counted; None counts nothing.
        later: further routes, in order: what says whether a path may be one of theirs, and what builds them when the
            first such path comes at which nothing is served yet.
        waiting: those who wait while the store is busy; for its own routes only when it is None.
        telemetry: measures the routes; None measures nothing.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: Iterable[Route],
        errors: ErrorResponses,
        endpoints: Mapping[str, ASGIApp] | None = None,
        mounts: Mapping[str, ASGIApp] | None = None,
        limits: AddressLimits | None = None,
        later: Iterable[Later] = (),
        waiting: Waiting | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._app = app
        self._telemetry = telemetry
        self._errors, self._limits, self._waiting = errors, limits, waiting or Waiting()
        self._later = deque(later)
        self._exact: dict[str, ASGIApp] = dict(endpoints or {})
        self._parents: dict[str, ASGIApp] = {}
        """By the path up to the last segment, which is a parameter."""
        self._add(routes)
        # The longest path first, which is the nearest one.
        self._mounts = sorted((mounts or {}).items(), key=lambda mount: -len(mount[0]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        found = None
        if scope["type"] == "http":
            found = self._find(scope["path"])
        elif scope["type"] == "websocket":
            found = self._mounted(scope["path"])
        await (found or self._app)(scope, receive, send)

    def _find(self, path: str) -> ASGIApp | None:
        found = self._at(path)
        while found is None and self._later and self._later[0][0](path):
            self._add(self._later.popleft()[1]())
            found = self._at(path)
        return found or self._mounted(path)

    def _at(self, path: str) -> ASGIApp | None:
        found = self._exact.get(path)
        if found is None:
            parent, _, last = path.rpartition("/")
            found = self._parents.get(parent) if last else None
        return found

    def _add(self, routes: Iterable[Route]) -> None:
        by_path: dict[str, dict[str, Route]] = {}
        for route in routes:
            by_path.setdefault(route.path, {}).update(dict.fromkeys(route.methods, route))
        for path, methods in by_path.items():
            parent, _, last = path.rpartition("/")
            parameter = last.strip("{}") if last.startswith("{") else None
            served: ASGIApp = _Methods(
                methods, errors=self._errors, limits=self._limits, waiting=self._waiting, parameter=parameter
            )
            if self._telemetry is not None:
                served = ObservedEndpoint(served, path, self._telemetry)
            if parameter is None:
                self._exact.setdefault(path, served)
            else:
                self._parents.setdefault(parent, served)

    def _mounted(self, path: str) -> ASGIApp | None:
        return next((app for mount, app in self._mounts if path == mount or path.startswith(mount + "/")), None)


@dataclass(frozen=True, slots=True)
class _Methods:
    """What answers at one path, by method: an ASGI application."""

    routes: Mapping[str, Route]
    _: KW_ONLY
    errors: ErrorResponses
    limits: AddressLimits | None
    waiting: Waiting
    parameter: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self.routes.get(scope["method"])
        if self.parameter is not None:
            scope["path_params"] = {self.parameter: scope["path"].rpartition("/")[2]}
        # Logs name the path's template and never the path itself, which is the client's text.
        scope["route"] = route or next(iter(self.routes.values()))
        patience = RequestPatience(self.waiting, receive, CODE_SECONDS if route is None else route.patience)
        request = Request(scope, patience.receive, send)
        try:
            with patience:
                response = await self._respond(request, route)
        except Exception as error:  # noqa: BLE001 - this is the place where errors become responses
            own = None if route is None or route.error_response is None else route.error_response(request, error)
            response = self.errors.response(request, error) if own is None else own
        _lead_below(scope.get("root_path"), response)
        await response(scope, receive, _without_content(send) if scope["method"] == "HEAD" else send)

    async def _respond(self, request: Request, route: Route | None) -> Response:
        if route is None:
            # A cache may keep a 405 unless it is told not to (RFC 9110 section 15.5.6).
            headers = {"Allow": ", ".join(self.routes), "Cache-Control": "no-store", "Pragma": "no-cache"}
            raise HTTPException(405, headers=headers)
        if route.limit is not None and self.limits is not None:
            await self.limits.admit(request, route.limit)
        if route.has_effects and request.method == "HEAD":
            return _THERE_IS_A_PAGE
        return await route.handler(request)


def _lead_below(base: str | None, response: Response) -> None:
    """Put the base in front of a location that is a path of ours (`base_path.py`)."""
    location = response.headers.get("location", "") if base else ""
    if location.startswith("/") and not location.startswith("//"):
        response.headers["location"] = f"{base}{location}"


def _without_content(send: Send) -> Send:
    """Send what GET would, its length included, but the content (RFC 9110 section 9.3.2); servers differ in whether."""

    async def send_head(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_head


def described(routes: Iterable[Route]) -> dict[str, Object]:
    """Return what the API description says of `routes` (OpenAPI 3.1, Paths Object)."""
    paths: dict[str, Object] = {}
    for route in routes:
        if route.operation is not None:
            paths.setdefault(route.path, {})[route.method.lower()] = route.operation.as_object()
    return paths
