"""Step 9: tools and prompts know who calls, and people log in at the built-in authorization server.

python examples/steps/step_9_user_context.py
"""

from datetime import UTC, datetime

from gatepost import Context, Role, Server, run
from gatepost.configuration.settings import load_settings

server = Server(
    "step-9",
    title="Step by step",
    scopes={"mcp:read": "See the time and who you are", "mcp:tools": "Call tools", "mcp:prompts": "Use prompts"},
)
roles = {
    "admin": Role(scopes="*"),
    "user": Role(scopes=["mcp:read", "mcp:tools"], users="account:alice account:bob"),
    "guest": Role(scopes=["mcp:read"], users="*"),
}


@server.tool(scopes=["mcp:read"])
def whoami(ctx: Context) -> dict[str, object]:
    """Say who calls, in which roles, by which app, and what that app may do."""
    return {
        "name": ctx.user.name,
        "roles": sorted(ctx.user.roles),
        "app": ctx.client.name,
        "scopes": sorted(ctx.scopes),
    }


@server.tool(scopes=["mcp:tools"])
def echo(message: str, ctx: Context) -> str:
    """Repeat a message, with the name of whoever says it."""
    return f"{ctx.user.name}: {message}"


@server.tool(scopes=["mcp:read"])
def get_time() -> str:
    """Tell the time in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@server.prompt(scopes=["mcp:prompts"])
def greeting(ctx: Context) -> str:
    """Greet whoever asks."""
    return f"Greet {ctx.user.name}, who is here as {' and '.join(sorted(ctx.user.roles))}, in one friendly sentence."


@server.prompt(name="help")
def help_text(ctx: Context) -> str:
    """Say what this server does for whoever asks."""
    more = ", and that an administrator may do everything" if "admin" in ctx.user.roles else ""
    return f"Say what the tools of this server do{more}, in two sentences."


SAYS_WHO = {"MCP_CALLER_IN_RESULTS": "true"}
"""Each result says who called, in its `_meta`."""

if __name__ == "__main__":
    run(server, settings=load_settings(SAYS_WHO), roles=roles)
