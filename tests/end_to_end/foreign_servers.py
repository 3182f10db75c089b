"""Servers of FastMCP and of the official SDK, high and low level, and an ASGI app, behind one lock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastmcp import FastMCP
from fastmcp.server.dependencies import get_access_token as fastmcp_access_token
from fastmcp.server.dependencies import get_http_request
from mcp.server import Server, ServerRequestContext
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams, TextContent, Tool

from gatepost import Protected, ScopeMap, any_of

SCOPES = ScopeMap(
    tools={"whoami": ["notes:read"], "delete": any_of("notes:write", "notes:admin"), "opened": []},
    resources={"notes://{id}": ["notes:read"], "notes://secret": ["notes:admin"]},
    prompts={"review": ["notes:write"]},
    default=["notes:admin"],
    descriptions={"notes:read": "Read notes"},
)


def said_by(token: Any, request: Any) -> dict[str, Any]:
    """What a server learns of its caller."""
    return {
        "subject": token.subject,
        "client": token.client_id,
        "scopes": token.scopes,
        "has_expiry": token.expires_at is not None,
        "issuer": token.claims["iss"],
        "token": token.token,
        "user": request.user.access_token.subject,
        "granted": sorted(request.auth.scopes),
        "credentials": [name for name in request.headers if name in {"authorization", "mcp-api-key"}],
    }


@asynccontextmanager
async def fastmcp_lifespan(_server: Any) -> AsyncIterator[dict[str, Any]]:
    yield {"opened": "by its lifespan"}


fastmcp: FastMCP = FastMCP("fastmcp", lifespan=fastmcp_lifespan)


@fastmcp.tool(name="whoami")
async def fastmcp_whoami(seconds: float = 0) -> dict[str, Any]:
    """Say who calls."""
    await asyncio.sleep(seconds)
    return said_by(fastmcp_access_token(), get_http_request())


@fastmcp.tool(name="delete")
def fastmcp_delete(number: int) -> int:
    """Delete a note."""
    return number


@fastmcp.tool(name="new")
def fastmcp_new() -> str:
    """Be what no rule names."""
    return "new"


@fastmcp.tool(name="opened")
def fastmcp_opened() -> str:
    """Say what the lifespan opened."""
    from fastmcp.server.dependencies import get_context  # noqa: PLC0415 - of this call

    return str(get_context().lifespan_context["opened"])


@fastmcp.resource("notes://{number}")
def fastmcp_note(number: str) -> str:
    """Read a note."""
    return f"note {number}"


@fastmcp.resource("notes://secret")
def fastmcp_secret() -> str:
    """Read what few may."""
    return "secret"


@fastmcp.prompt(name="review")
def fastmcp_review() -> str:
    """Review."""
    return "Review this."


@asynccontextmanager
async def sdk_lifespan(_server: Any) -> AsyncIterator[dict[str, Any]]:
    yield {"opened": "by its lifespan"}


high_level = MCPServer("high level", lifespan=sdk_lifespan)


@high_level.tool(name="whoami")
async def high_level_whoami(ctx: Context, seconds: float = 0) -> dict[str, Any]:
    """Say who calls."""
    await asyncio.sleep(seconds)
    return said_by(get_access_token(), ctx.request_context.request)


@high_level.tool(name="delete")
def high_level_delete(number: int) -> int:
    """Delete a note."""
    return number


@high_level.tool(name="new")
def high_level_new() -> str:
    """Be what no rule names."""
    return "new"


@high_level.tool(name="opened")
def high_level_opened(ctx: Context) -> str:
    """Say what the lifespan opened."""
    return str(ctx.request_context.lifespan_context["opened"])


@high_level.resource("notes://{number}")
def high_level_note(number: str) -> str:
    """Read a note."""
    return f"note {number}"


@high_level.resource("notes://secret")
def high_level_secret() -> str:
    """Read what few may."""
    return "secret"


@high_level.prompt(name="review")
def high_level_review() -> str:
    """Review."""
    return "Review this."


async def list_tools(_context: ServerRequestContext[Any], _params: PaginatedRequestParams | None) -> ListToolsResult:
    """List the tools."""
    names = ("whoami", "delete", "new", "opened")
    return ListToolsResult(tools=[Tool(name=name, input_schema={"type": "object"}) for name in names])


async def call_tool(context: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
    """Call one."""
    said: dict[str, Any] = {"result": params.name}
    if params.name == "whoami":
        await asyncio.sleep(float((params.arguments or {}).get("seconds", 0)))
        said = said_by(get_access_token(), context.request)
    elif params.name == "opened":
        said = {"result": context.lifespan_context["opened"]}
    return CallToolResult(content=[TextContent(type="text", text="said")], structured_content=said)


low_level: Server[Any] = Server("low level", lifespan=sdk_lifespan, on_list_tools=list_tools, on_call_tool=call_tool)

endpoints = {
    "/fastmcp": Protected(fastmcp, scopes=SCOPES),
    "/high": Protected(high_level, scopes=SCOPES),
    "/low": Protected(low_level, scopes=SCOPES),
    "/open": fastmcp,
    "/app": Protected(fastmcp.http_app(path="/mcp", host_origin_protection=False), scopes=SCOPES),
}
