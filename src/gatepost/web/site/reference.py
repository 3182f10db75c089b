"""The API reference: `/docs` (Swagger UI) and `/redoc`, both over `/openapi.json`.

Their scripts are served from here, so the pages work without the internet; but this origin is where people log in and
approve. So both are sandboxed into an origin of their own by their policy (`sandbox` without `allow-same-origin`):
whatever those scripts do, they can read neither cookies nor pages of this server.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import resources
from typing import Final

from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencePages:
    """The two pages."""

    title: str

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/docs", self.get_swagger),
            Route("GET", "/redoc", self.get_redoc),
            Route("GET", _ASSETS + "{asset}", _serve),
        )

    async def get_swagger(self, _request: Request) -> HTMLResponse:
        page = get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=f"{self.title}: API",
            swagger_js_url=_ASSETS + "swagger-ui-bundle.js",
            swagger_css_url=_ASSETS + "swagger-ui.css",
            swagger_favicon_url=_ASSETS + "favicon.png",
        )
        return _sandboxed(page)

    async def get_redoc(self, _request: Request) -> HTMLResponse:
        page = get_redoc_html(
            openapi_url="/openapi.json",
            title=f"{self.title}: API",
            redoc_js_url=_ASSETS + "redoc.standalone.js",
            redoc_favicon_url=_ASSETS + "favicon.png",
            with_google_fonts=False,
        )
        return _sandboxed(page)


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
    return Response(_load(name), media_type=_MEDIA_TYPES[name], headers=headers)


@functools.cache
def _load(name: str) -> bytes:
    return (resources.files("fastapi_offline") / "static" / name).read_bytes()
