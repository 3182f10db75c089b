"""A program for the interface of a system that Gatepost replaces: only the names that it imports are Gatepost's.

It asks elsewhere who somebody is, remembers that under a cookie of its own, and keeps for the tools what it learned.
"""

# ruff: noqa: ARG002 - the arguments are those of the protocol
from __future__ import annotations

import secrets
from urllib.parse import urlencode

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from gatepost import AuthProvider, Server, create_app, get_current_sub
from gatepost.configuration.settings import load_settings

UPSTREAM = "https://id.example/authorize"
COOKIE = "mcp_session"


class UpstreamLogin(AuthProvider):
    """Knows who has the cookie, and sends everybody else to the upstream."""

    def __init__(self, allowed: set[str], base_url: str) -> None:
        self.allowed = allowed
        self.base_url = base_url
        self.sessions: dict[str, str] = {}
        self.pending: dict[str, str] = {}

    def authenticate(self, request: Request, credentials: dict[str, str]) -> str | None:
        """Return the login behind the cookie."""
        login = self.sessions.get(request.cookies.get(COOKIE, ""))
        return login if login in self.allowed else None

    def challenge(self, request: Request, credentials: dict[str, str]) -> Response | None:
        """Go to the upstream, and remember where to come back to."""
        state = secrets.token_urlsafe(16)
        self.pending[state] = str(request.url)
        query = {"redirect_uri": f"{self.base_url}/auth/callback", "state": state}
        return RedirectResponse(f"{UPSTREAM}?{urlencode(query)}", status_code=302)

    async def callback(self, request: Request) -> Response:
        """Come back; the code is the login here."""
        return_url = self.pending.pop(request.query_params["state"], None)
        if return_url is None:
            return JSONResponse({"error": "invalid or expired state"}, status_code=400)
        session = secrets.token_urlsafe(16)
        self.sessions[session] = request.query_params["code"]
        response = RedirectResponse(return_url, status_code=302)
        response.set_cookie(COOKIE, session, httponly=True, samesite="lax", path="/")
        return response


def build_app(base_url: str) -> FastAPI:
    """Return the whole program."""
    provider = UpstreamLogin({"ada"}, base_url)
    server = Server("upstream")

    @server.tool
    def whoami() -> str:
        """Say who calls."""
        sub = get_current_sub()
        return f"{sub}: {sorted(provider.sessions.values())}"

    settings = load_settings({"MCP_STORAGE_URL": "memory:"}, env_file=None)
    app = create_app(server, settings=settings, provider=provider, title="Upstream", announce=lambda _: None)
    app.routes.insert(0, Route("/auth/callback", provider.callback, methods=["GET"]))
    return app
