"""A server of other libraries on Streamable HTTP, in a process of its own, at the port MCP_PORT.

REMOTE_KIND says which: `sdk`, the official SDK with sessions; `stateless`, the same without; `fastmcp`;
`fastmcp-locked`, the same behind its own authorization server, which approves everything.
"""

from __future__ import annotations

import os
from typing import Any

import uvicorn
from fastmcp import Context as FastContext
from fastmcp import FastMCP
from fastmcp.server.auth.providers.in_memory import InMemoryOAuthProvider
from fastmcp.server.dependencies import get_http_headers
from mcp.server.auth.settings import ClientRegistrationOptions
from mcp.server.mcpserver import Context, MCPServer
from pydantic import BaseModel


class Name(BaseModel):
    """A form."""

    name: str


def sdk_app(*, stateless: bool) -> Any:
    server: MCPServer[Any] = MCPServer("remote sdk", instructions="Be brief.")

    @server.tool()
    def echo(text: str) -> str:
        return text

    @server.tool()
    async def steps(ctx: Context[Any, Any]) -> str:
        await ctx.report_progress(1, 2)
        await ctx.report_progress(2, 2)
        return "done"

    @server.tool()
    async def ask(ctx: Context[Any, Any]) -> str:
        answer = await ctx.elicit("Name?", Name)
        return answer.data.name if answer.action == "accept" else answer.action

    @server.tool()
    def seen(ctx: Context[Any, Any]) -> str:
        request = ctx.request_context.request
        assert request is not None
        return str(request.headers["authorization"])

    return server.streamable_http_app(stateless_http=stateless)


def fast_app(*, is_locked: bool = False) -> Any:
    lock = None
    if is_locked:
        lock = InMemoryOAuthProvider(
            base_url=f"http://127.0.0.1:{os.environ['MCP_PORT']}",
            client_registration_options=ClientRegistrationOptions(enabled=True),
        )
    server = FastMCP("remote fastmcp", auth=lock)

    @server.tool
    def echo(text: str) -> str:
        return text

    @server.tool
    async def steps(ctx: FastContext) -> str:
        await ctx.report_progress(1, 2)
        await ctx.report_progress(2, 2)
        return "done"

    @server.tool
    async def ask(ctx: FastContext) -> str:
        answer = await ctx.elicit("Name?", response_type=Name)
        return answer.data.name if answer.action == "accept" else answer.action

    @server.tool
    def seen() -> str:
        return str(get_http_headers(include_all=True)["authorization"])

    return server.http_app()


class Announced(uvicorn.Server):
    """Says where it serves, once it does."""

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        # The rows of the banner that `RunningServer` waits for.
        print(f"MCP URL http://127.0.0.1:{self.config.port}/mcp\nDocs none", flush=True)  # noqa: T201 - as a command does


if __name__ == "__main__":
    kind = os.environ["REMOTE_KIND"]
    is_fast = kind.startswith("fastmcp")
    app = fast_app(is_locked=kind == "fastmcp-locked") if is_fast else sdk_app(stateless=kind == "stateless")
    Announced(uvicorn.Config(app, port=int(os.environ["MCP_PORT"]), log_level="warning")).run()
