"""FastMCP: bearer tokens through its `StaticTokenVerifier`, JSON answers, both eras on one endpoint."""

from __future__ import annotations

import os
import sys
import time

import uvicorn
from fastmcp import FastMCP
from fastmcp.server.auth.providers.jwt import StaticTokenVerifier

claims = {"client_id": "benchmark", "sub": "benchmark", "scopes": ["tools"], "expires_at": int(time.time()) + 3600}
server = FastMCP(
    "benchmark",
    auth=StaticTokenVerifier({os.environ["BENCHMARK_TOKEN"]: claims}, required_scopes=["tools"]),
)


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def add_sync(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


if (count := int(os.environ["BENCHMARK_TOOLS"])) > 0:
    for index in range(count):
        server.tool(add, name=f"add_{index}")
else:
    server.tool(add)
    server.tool(add_sync)

if __name__ == "__main__":
    uvicorn.run(
        server.http_app(json_response=True),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
