"""A server of the official SDK without authentication: run by itself, and served by `gatepost serve` as it is."""

import sys

import uvicorn
from mcp.server.mcpserver import MCPServer

from gatepost import Protected, ScopeMap

server = MCPServer("benchmark")


@server.tool()
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


scoped = {"/mcp": Protected(server, scopes=ScopeMap(tools={"add*": ["tools:use"], "delete_*": ["tools:change"]}))}

if __name__ == "__main__":
    uvicorn.run(
        server.streamable_http_app(),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
