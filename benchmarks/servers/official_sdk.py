"""The official Python SDK, `mcp`: bearer tokens through a `TokenVerifier`, JSON answers, both eras on one endpoint."""

from __future__ import annotations

import os
import sys
import time

import uvicorn
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import Context, MCPServer
from pydantic import AnyHttpUrl

PORT = int(sys.argv[1])
RESOURCE = f"http://127.0.0.1:{PORT}/mcp"
TOKENS = {
    os.environ["BENCHMARK_TOKEN"]: AccessToken(
        token=os.environ["BENCHMARK_TOKEN"],
        client_id="benchmark",
        scopes=["tools"],
        expires_at=int(time.time()) + 3600,
        resource=RESOURCE,
        subject="benchmark",
    )
}


class TableVerifier(TokenVerifier):
    """Looks tokens up in a table, as the SDK's documentation shows it."""

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return what is known about `token`."""
        return TOKENS.get(token)


server = MCPServer(
    "benchmark",
    token_verifier=TableVerifier(),
    auth=AuthSettings(
        issuer_url=AnyHttpUrl("https://auth.example.com"),
        resource_server_url=AnyHttpUrl(RESOURCE),
        required_scopes=["tools"],
        validate_token_resource=True,
    ),
)


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def add_sync(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def announce(ctx: Context) -> str:
    """Tell every listener that the tools have changed."""
    await ctx.notify_tools_changed()
    return "announced"


if (count := int(os.environ["BENCHMARK_TOOLS"])) > 0:
    for index in range(count):
        server.add_tool(add, name=f"add_{index}")
else:
    for tool in (add, add_sync, announce):
        server.add_tool(tool)

if __name__ == "__main__":
    uvicorn.run(
        server.streamable_http_app(json_response=True),
        host="127.0.0.1",
        port=PORT,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
