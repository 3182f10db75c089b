"""A server to begin a deployment with: it needs no disk, so that any number of replicas serve it."""

from gatepost import Context, Server

server = Server(
    "hello",
    title="Hello",
    scopes={"hello:read": "See who you are here", "hello:write": "Have numbers added up"},
)


@server.tool(scopes=["hello:read"], annotations={"readOnlyHint": True})
def whoami(ctx: Context) -> str:
    """Say who calls."""
    return ctx.user.subject


@server.tool(scopes=["hello:write"])
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b
