"""Two MCP endpoints of one server."""

from gatepost import Context, Server

notes = Server("notes", title="Your notes", scopes={"notes:write": "Add notes"})
mail = Server("mail", title="Your mail", scopes={"mail:send": "Send mail"})


@notes.tool(scopes=["notes:write"])
async def add(text: str, ctx: Context) -> str:
    """Keep a note."""
    return f"{ctx.user.subject} noted: {text}"


@mail.tool(scopes=["mail:send"])
async def send(text: str) -> str:
    """Send a mail."""
    return f"sent: {text}"


endpoints = {"/notes/mcp": notes, "/mail/mcp": mail}
