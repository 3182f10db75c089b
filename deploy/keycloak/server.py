"""The tools and prompts whose scopes and roles `realm.json` has: behind Keycloak, or any other issuer."""

from datetime import UTC, datetime

from gatepost import Context, Server

server = Server(
    "keycloak-example",
    title="Behind Keycloak",
    scopes={"mcp:read": "See who you are here", "mcp:tools": "Call tools", "mcp:prompts": "Use prompts"},
)


@server.tool(scopes=["mcp:read"], annotations={"readOnlyHint": True})
def whoami(ctx: Context) -> dict[str, object]:
    """Say who calls, and in which roles."""
    return {"subject": ctx.user.subject, "name": ctx.user.name, "roles": sorted(ctx.user.roles)}


@server.tool(scopes=["mcp:tools"])
def echo(text: str) -> str:
    """Say the same."""
    return text


@server.tool(scopes=["mcp:tools"], annotations={"readOnlyHint": True})
def get_time() -> str:
    """Say what time it is, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@server.prompt(scopes=["mcp:prompts"])
def greeting(name: str) -> str:
    """Greet somebody."""
    return f"Greet {name} in a friendly sentence."
