"""A guarded MCP server in nine steps, each a program that stands for itself."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gatepost import Context, ExternalIssuer, Role, Server, create_app

TOOLS: list[dict[str, Any]] = [
    {"name": "echo", "description": "Echo a message", "inputSchema": {"type": "object"}},
    {"name": "get_time", "description": "Tell the time", "inputSchema": {"type": "object"}},
]
PROMPTS = [{"name": "greeting", "description": "Greet"}, {"name": "help", "description": "Help"}]


def step_1() -> Any:
    """A server with a health endpoint, and nothing to call."""
    return create_app(Server("step-1"))


def handle_requests(request: dict[str, Any]) -> dict[str, Any] | None:
    """Step 2: take MCP requests, as JSON-RPC."""
    if request["method"] == "initialize":
        info = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "step-2", "version": "1"}}
        return {"jsonrpc": "2.0", "id": request["id"], "result": info}
    return None


def list_definitions(request: dict[str, Any]) -> dict[str, Any] | None:
    """Step 3: say which tools and prompts there are, and call none."""
    listed = {"tools/list": {"tools": TOOLS}, "prompts/list": {"prompts": PROMPTS}}.get(request["method"])
    return None if listed is None else {"jsonrpc": "2.0", "id": request["id"], "result": listed}


def step_4() -> Server:
    """Tools that run, and prompts that are written."""
    server = Server("step-4")

    @server.tool
    def echo(message: str) -> str:
        """Echo a message."""
        return message

    @server.tool
    def get_time() -> str:
        """Tell the time."""
        return datetime.now(UTC).isoformat()

    @server.prompt
    def greeting(name: str) -> str:
        """Greet."""
        return f"Greet {name}."

    @server.prompt(name="help")
    def help_out() -> str:
        """Help."""
        return "Say what this server does."

    return server


def guarded() -> Server:
    """Steps 5 to 9: what a scope opens, and what depends on who calls."""
    server = Server("guarded", scopes={"mcp:read": "See", "mcp:tools": "Call", "mcp:prompts": "Get prompts"})

    @server.tool(scopes=["mcp:tools"])
    def echo(message: str, ctx: Context) -> str:
        """Echo a message."""
        return f"{ctx.user.subject}: {message}"

    @server.tool(scopes=["mcp:read"])
    def whoami(ctx: Context) -> dict[str, Any]:
        """Say who calls."""
        return {"user": ctx.user.subject, "roles": sorted(ctx.user.roles), "scopes": sorted(ctx.scopes)}

    @server.prompt(scopes=["mcp:prompts"])
    def greeting(ctx: Context) -> str:
        """Greet."""
        return f"Greet {ctx.user.name or ctx.user.subject}, who is {', '.join(sorted(ctx.user.roles)) or 'nobody'}."

    return server


ROLES = {
    "admin": Role(scopes="*"),
    "user": Role(scopes=["mcp:read", "mcp:tools"]),
    "guest": Role(scopes=["mcp:read"]),
}


def issuer(public_key: Path) -> ExternalIssuer:
    """Steps 5 and 6: tokens of somebody whose public key lies in a file."""
    return ExternalIssuer("https://issuer.example.com", "mcp-server", public_key=public_key)


server = guarded()
