"""The API reference: `/docs` (Swagger UI) and `/redoc`, both over `/openapi.json`.

Their scripts come from a public CDN, and this origin is where people log in and approve. So both pages are sandboxed
into an origin of their own by their policy (`sandbox` without `allow-same-origin`): whatever those scripts do, they can
read neither cookies nor pages of this server.
"""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.responses import HTMLResponse

_POLICY = (
    "sandbox allow-scripts allow-popups allow-forms; default-src 'none'; "
    "script-src https://cdn.jsdelivr.net 'unsafe-inline'; style-src https://cdn.jsdelivr.net "
    "https://fonts.googleapis.com 'unsafe-inline'; font-src https://fonts.gstatic.com; "
    "img-src https: data:; connect-src *; worker-src blob:; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def reference_router(*, title: str) -> APIRouter:
    """Return the two reference pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def swagger() -> HTMLResponse:
        return _sandboxed(get_swagger_ui_html(openapi_url="/openapi.json", title=f"{title}: API"))

    @router.get("/redoc")
    async def redoc() -> HTMLResponse:
        return _sandboxed(get_redoc_html(openapi_url="/openapi.json", title=f"{title}: API"))

    return router


def _sandboxed(page: HTMLResponse) -> HTMLResponse:
    page.headers.update(_HEADERS)
    return page
