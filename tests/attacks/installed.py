"""A whole installation over ASGI, with what it fetches under the test's control."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx2
from starlette.types import ASGIApp

from gatepost import AuthProvider, Role, Server
from gatepost.assembly.external_tokens import External
from gatepost.assembly.installation import Installation, install
from gatepost.assembly.site import app_for
from gatepost.configuration.settings import load_settings
from gatepost.identity.entry import Allow
from gatepost.identity.provider import IdentityProvider
from gatepost.outbound.fetching import Fetcher
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import memory_store

ORIGIN = "http://127.0.0.1:8000"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636 appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


@dataclass
class Installed:
    """A running installation and a client without cookies."""

    installation: Installation
    store: Store
    http: httpx2.AsyncClient
    clock: list[int]
    app: ASGIApp

    async def authorize(
        self, client_id: str, redirect_uri: str = "https://app.example/cb", **more: str
    ) -> httpx2.Response:
        """Open an authorization URL as a browser would."""
        query = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **more,
        }
        return await self.http.get(f"/oauth/authorize?{urlencode(query)}", headers={"Accept": "text/html"})

    async def token(self, **parameters: str) -> httpx2.Response:
        """Send a token request."""
        return await self.http.post("/oauth/token", data=parameters)


@asynccontextmanager
async def installed(
    *,
    fetcher: Fetcher | None = None,
    store: Store | None = None,
    provider: IdentityProvider | AuthProvider | None = None,
    target: Server | Mapping[str, Server] | None = None,
    allow: Allow | None = None,
    roles: Mapping[str, Role] | None = None,
    external: External | None = None,
    **variables: str,
) -> AsyncIterator[Installed]:
    """Serve `target`, else one tool; `variables` are settings, `fetcher` stands in for the internet."""
    server = Server("notes")

    @server.tool(scopes=["notes:read"])
    async def read() -> str:
        """Read."""
        return "milk"

    clock = [1_800_000_000]
    kept = store or memory_store()
    settings = load_settings({"MCP_STORAGE_URL": "memory:", **variables}, env_file=None)
    installation = install(
        target or server,
        settings,
        provider=provider,
        store=kept,
        fetcher=fetcher,
        allow=allow,
        roles=roles,
        external=external,
        now=lambda: clock[0],
    )
    app = app_for(installation, announce=lambda _: None)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=ORIGIN) as http,
    ):
        yield Installed(installation, kept, http, clock, app)
