"""A server that takes the tokens of an issuer elsewhere, and what it says of who calls."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from gatepost import Context, ExternalIssuer, Server
from gatepost.server.calls.upstream import NoPerson
from tests.attacks.installed import ORIGIN, Installed, installed
from tests.outbound.external_issuer import Issuer

HERE = f"{ORIGIN}/mcp"
NOW = 1_800_000_000
METADATA = "/.well-known/oauth-protected-resource/mcp"
ALONE: dict[str, Any] = {"OAUTH_ENABLE_AS": "false"}


@dataclass
class World:
    """A server that takes the tokens of an issuer."""

    gatepost: Installed
    issuer: Issuer

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = self.gatepost.clock[0]
        said = {"iss": self.issuer.url, "aud": HERE, "sub": "ada", "exp": now + 600, "iat": now, "scope": "notes:read"}
        return {name: value for name, value in (said | changes).items() if value is not ...}

    def token(
        self, *, header: Mapping[str, Any] | None = None, key: Any = None, alg: str = "RS256", **changes: Any
    ) -> str:
        return self.issuer.token(self.claims(**changes), header=header, key=key, alg=alg)

    async def call(self, token: str | None, tool: str = "who") -> httpx2.Response:
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {}}}
        headers = {"Accept": "application/json, text/event-stream"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return await self.gatepost.http.post("/mcp", json=message, headers=headers)

    async def who(self, token: str) -> dict[str, Any]:
        answer = await self.call(token)
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = json.loads(answer.json()["result"]["content"][0]["text"])
        return said

    async def refused(self, token: str, status: int = 401) -> str:
        """Return the description of a refusal; it never quotes the token."""
        answer = await self.call(token)
        assert answer.status_code == status, answer.text
        assert token[:20] not in answer.text + str(answer.headers)
        if status == 401:
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        return str(answer.json()["error_description"])


def notes() -> Server:
    server = Server("notes")

    @server.tool(scopes=["notes:read"])
    async def who(ctx: Context) -> str:
        """Say who calls."""
        user = ctx.user
        said = {"subject": user.subject, "issuer": user.issuer, "roles": sorted(user.roles), "email": user.email}
        return json.dumps(said)

    @server.tool(scopes=["notes:write"])
    async def write() -> str:
        """Write."""
        return "written"

    @server.tool(scopes=["notes:read"])
    async def elsewhere(ctx: Context) -> str:
        """Act elsewhere as the caller."""
        try:
            await ctx.upstream_token("github")
        except NoPerson:
            return "nobody"
        return "somebody"

    return server


@asynccontextmanager
async def world(
    *others: Any, issuer: Issuer | None = None, options: Mapping[str, Any] | None = None, **variables: Any
) -> AsyncIterator[World]:
    """Serve notes to those who have a token of the issuer, or of others."""
    there = issuer or Issuer()
    verifier = ExternalIssuer(there.url, **(options or {}))
    external = [verifier, *others]
    async with installed(target=notes(), external=external, **{**ALONE, **variables}) as gatepost:
        verifier.connect(there.surroundings(lambda: gatepost.clock[0]))
        yield World(gatepost, there)
