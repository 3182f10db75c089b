"""FastMCP with its tasks in memory: a tool that is one, for clients that know tasks."""

from __future__ import annotations

import os
import sys
import time

import uvicorn
from fastmcp import FastMCP
from fastmcp.server.auth.providers.jwt import StaticTokenVerifier
from fastmcp_tasks import TasksExtension

claims = {"client_id": "benchmark", "sub": "benchmark", "scopes": ["tools"], "expires_at": int(time.time()) + 3600}
server = FastMCP(
    "benchmark",
    auth=StaticTokenVerifier({os.environ["BENCHMARK_TOKEN"]: claims}, required_scopes=["tools"]),
)
# As many at once as the load has waiting; it takes ten otherwise.
server.add_extension(TasksExtension(url="memory://", concurrency=64))


@server.tool(task=True)
async def add_later(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


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
