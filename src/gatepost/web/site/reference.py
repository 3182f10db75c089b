"""The API reference: `/docs` (Swagger UI) and `/redoc`, both over `/openapi.json`.

Their scripts are served from here, so the pages work without the internet; but this origin is where people log in and
approve. So both are sandboxed into an origin of their own by their policy (`sandbox` without `allow-same-origin`):
whatever those scripts do, they can read neither cookies nor pages of this server.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from dataclasses import field
from importlib import resources
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse

from gatepost.late_dataclass import dataclass
from gatepost.web.site.routing import Route

_POLICY: Final = (
    "sandbox allow-scripts allow-popups allow-forms; default-src 'none'; script-src 'self' 'unsafe-inline'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src *; worker-src blob:; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_ASSETS: Final = "/docs/assets/"
_MEDIA_TYPES: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "redoc.standalone.js": "text/javascript",
    "favicon.png": "image/png",
}
"""What fastapi-offline ships, and nothing else of its folder."""
_PIECE: Final = 64 * 1024
"""Bytes. What is sent at once waits in memory for each client that does not read, and strangers may ask for scripts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencePages:
    """The two pages, and what they show."""

    title: str
    _encoded: list[tuple[Any, str, bytes]] = field(default_factory=list, init=False)
    """The description that was asked for last. To encode it takes ten times as long as to answer anything else."""

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/docs", self.get_swagger),
            Route("GET", "/redoc", self.get_redoc),
            Route("GET", "/openapi.json", self.get_description),
            Route("GET", _ASSETS + "{asset}", _serve),
        )

    async def get_swagger(self, request: Request) -> HTMLResponse:
        from fastapi.openapi.docs import get_swagger_ui_html  # noqa: PLC0415 - FastAPI is a third of a start

        base = request.scope.get("root_path", "")
        page = get_swagger_ui_html(
            openapi_url=f"{base}/openapi.json",
            title=f"{self.title}: API",
            swagger_js_url=base + _ASSETS + "swagger-ui-bundle.js",
            swagger_css_url=base + _ASSETS + "swagger-ui.css",
            swagger_favicon_url=base + _ASSETS + "favicon.png",
        )
        return _sandboxed(page)

    async def get_redoc(self, request: Request) -> HTMLResponse:
        from fastapi.openapi.docs import get_redoc_html  # noqa: PLC0415 - as above

        base = request.scope.get("root_path", "")
        page = get_redoc_html(
            openapi_url=f"{base}/openapi.json",
            title=f"{self.title}: API",
            redoc_js_url=base + _ASSETS + "redoc.standalone.js",
            redoc_favicon_url=base + _ASSETS + "favicon.png",
            with_google_fonts=False,
        )
        return _sandboxed(page)

    async def get_description(self, request: Request) -> Response:
        description, base = request.app.openapi(), request.scope.get("root_path", "")
        if not self._encoded or self._encoded[0][0] is not description or self._encoded[0][1] != base:
            # Paths of the description are relative to the server's URL (OpenAPI 3.1, Server Object).
            there = {**description, "servers": [{"url": base}]} if base else description
            self._encoded[:] = [(description, base, bytes(JSONResponse(there).body))]
        headers = {"X-Content-Type-Options": "nosniff"}
        return Response(self._encoded[0][2], media_type="application/json", headers=headers)


def _sandboxed(page: HTMLResponse) -> HTMLResponse:
    page.headers.update(_HEADERS)
    return page


async def _serve(request: Request) -> Response:
    name = request.path_params["asset"]
    headers = {
        "X-Content-Type-Options": "nosniff",
        # The pages' origin is their own, and so another one than ours.
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    }
    if name not in _MEDIA_TYPES:
        return PlainTextResponse("Not found", 404, {**headers, "Cache-Control": "no-store"})
    headers["Cache-Control"] = "public, max-age=86400"
    content = _load(name)
    headers["Content-Length"] = str(len(content))
    return StreamingResponse(_pieces(content), media_type=_MEDIA_TYPES[name], headers=headers)


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for begin in range(0, len(content), _PIECE):
        yield content[begin : begin + _PIECE]


@functools.cache
def _load(name: str) -> bytes:
    return (resources.files("fastapi_offline") / "static" / name).read_bytes()
