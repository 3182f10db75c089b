"""What a browser shows at `/` and at the MCP endpoints: what this is, and how to connect an app.

An app that asks there gets what the specification says. Only who navigates there by hand sees the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import Response

from gatepost.late_dataclass import dataclass
from gatepost.web.site.base_path import inner_scope

if TYPE_CHECKING:
    from gatepost.web.pages.rendering import Pages


@dataclass(frozen=True, slots=True, kw_only=True)
class LandingPage:
    """The page, where a browser asks for it."""

    pages: Callable[[], Pages]
    """Builds what renders it, at the first call."""
    origin: str
    """The public one, perhaps with a path."""
    is_any_loopback: bool
    """Whether it is at every loopback name, so that the one that was asked for is as good."""
    mcp_paths: Sequence[str]
    has_login: bool

    def respond(self, request: HTTPConnection) -> Response | None:
        """Return the page for a browser that a person sent here; None for everybody else (Fetch Metadata)."""
        scope = inner_scope(request.scope)
        is_here = scope["path"] == "/" or scope["path"].removesuffix("/") in self.mcp_paths
        if not is_here or scope["method"] != "GET" or request.headers.get("sec-fetch-dest") != "document":
            return None
        origin = self.origin
        if self.is_any_loopback:
            origin = f"{urlsplit(origin).scheme}://{request.headers['host']}{scope.get('root_path', '')}"
        return self.pages().render(
            request,
            "landing.html",
            mcp_urls=[origin + path for path in self.mcp_paths],
            has_login=self.has_login,
        )
