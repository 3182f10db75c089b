"""Routes: what one method at one path does, and how the API description puts it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gatepost.web.site.api_description import Object, Operation

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method at one path. An endpoint is a dataclass of its dependencies whose `routes()` returns these."""

    method: str
    path: str
    """Perhaps with one parameter, which is its last segment: `/oauth/register/{client_id}`."""
    handler: Handler
    operation: Operation | None = None
    """None: not in the API description."""
    _: KW_ONLY
    answers_head: bool = True
    """Whether a GET route answers HEAD as well (RFC 9110 section 9.3.2)."""

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that it answers."""
        return ("GET", "HEAD") if self.method == "GET" and self.answers_head else (self.method,)


def described(routes: Iterable[Route]) -> dict[str, Object]:
    """Return what the API description says of `routes` (OpenAPI 3.1, Paths Object)."""
    paths: dict[str, Object] = {}
    for route in routes:
        if route.operation is not None:
            paths.setdefault(route.path, {})[route.method.lower()] = route.operation.as_object()
    return paths


def router_of(routes: Iterable[Route]) -> APIRouter:
    """Return a router of `routes`, which describes none of them."""
    router = APIRouter()
    methods: dict[str, list[str]] = {}
    for route in routes:
        router.add_api_route(
            route.path, route.handler, methods=list(route.methods), include_in_schema=False, response_model=None
        )
        methods.setdefault(route.path, []).extend(route.methods)
    for path, allowed in methods.items():
        others = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - set(allowed)
        router.add_api_route(
            path, _MethodNotAllowed(allowed).answer, methods=list(others), include_in_schema=False, response_model=None
        )
    return router


@dataclass(frozen=True, slots=True)
class _MethodNotAllowed:
    allowed: Sequence[str]

    async def answer(self, _request: Request) -> Response:
        """Refuse; without `no-store` a cache could keep the answer (RFC 9110 section 15.5.6)."""
        raise HTTPException(
            405, headers={"Allow": ", ".join(self.allowed), "Cache-Control": "no-store", "Pragma": "no-cache"}
        )
