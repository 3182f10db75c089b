"""The API reference: `/docs` (Swagger UI) and `/redoc`, both over `/openapi.json`.

Their scripts come from a public CDN, and this origin is where people log in and approve. So both pages are sandboxed
into an origin of their own by their policy (`sandbox` without `allow-same-origin`): whatever those scripts do, they can
read neither cookies nor pages of this server.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse

from gatepost.web.site.routing import Route

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencePages:
    """The two pages."""

    title: str

    def routes(self) -> tuple[Route, ...]:
        return (Route("GET", "/docs", self.get_swagger), Route("GET", "/redoc", self.get_redoc))

    async def get_swagger(self, _request: Request) -> HTMLResponse:
        return _sandboxed(get_swagger_ui_html(openapi_url="/openapi.json", title=f"{self.title}: API"))

    async def get_redoc(self, _request: Request) -> HTMLResponse:
        return _sandboxed(get_redoc_html(openapi_url="/openapi.json", title=f"{self.title}: API"))


def _sandboxed(page: HTMLResponse) -> HTMLResponse:
    page.headers.update(_HEADERS)
    return page
