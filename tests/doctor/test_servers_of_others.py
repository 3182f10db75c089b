"""What is said of a server that others wrote: FastMCP with the OAuth provider that it keeps in memory."""

from __future__ import annotations

import pytest
from fastmcp import FastMCP
from fastmcp.server.auth.providers.in_memory import InMemoryOAuthProvider
from mcp.server.auth.settings import ClientRegistrationOptions

from tests.doctor.broken_server import ORIGIN, concerned, diagnosed, named


@pytest.mark.filterwarnings("ignore")
async def test_fastmcp_with_its_provider_in_memory_is_told_what_it_lacks() -> None:
    registration = ClientRegistrationOptions(enabled=True, valid_scopes=["notes:read"])
    provider = InMemoryOAuthProvider(
        base_url=ORIGIN, client_registration_options=registration, required_scopes=["notes:read"]
    )
    app = FastMCP("notes", auth=provider).http_app()

    async with app.router.lifespan_context(app):
        diagnosis = await diagnosed(app)

    assert named(diagnosis) == {
        "slash-variant": "degraded",
        "resource-metadata-at-root": "note",
        "public-clients": "note",
        "registration-removed": "note",
        "scope-after-registration": "fails",
        "loopback-port": "fails",
        "iss-in-answer": "note",
        "refresh-refused": "degraded",
        "preflight": "fails",
        "401-readable": "fails",
    }
    assert concerned(diagnosis) == {"copilot-cli", "claude-code", "vscode", "inspector"}
