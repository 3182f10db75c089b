"""What the end-to-end tests serve."""

from gatepost import Context, Server, ToolError

server = Server("sample", version="1.2.3", scopes={"notes:read": "Read your notes", "notes:write": "Add notes"})


@server.tool(scopes=["notes:write"])
async def add(text: str, ctx: Context) -> str:
    """Keep a note."""
    return f"{ctx.user.subject} noted: {text}"


@server.tool(scopes=["notes:read", "notes:write"])
def both() -> str:
    """Need both scopes."""
    return "both"


@server.tool
def whoami(ctx: Context) -> dict[str, str | list[str] | None]:
    """Tell who calls."""
    return {"name": ctx.user.display_name, "client": ctx.client.name, "scopes": sorted(ctx.scopes)}


@server.tool
async def fail(how: str) -> str:
    """Fail in the way that is asked for."""
    if how == "told":
        raise ToolError("no such note")
    raise RuntimeError("secret detail")
