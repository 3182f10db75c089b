"""The server that tests of `gatepost.testing` test."""

from __future__ import annotations

from mcp_types import CallToolResult, TextContent
from pydantic import BaseModel

from gatepost import Context, Server


class Name(BaseModel):
    """What `greet` asks for."""

    name: str


def notes_server() -> Server:
    """Return a new server with a tool for each thing that a test looks at."""
    server = Server("notes")

    @server.tool(scopes=["notes:write"])
    async def add(text: str, context: Context) -> str:
        """Keep a note."""
        return f"{context.user.subject} noted: {text}"

    @server.tool(scopes=["notes:read"])
    async def roles(context: Context) -> list[str]:
        """List the caller's roles."""
        return sorted(context.user.roles)

    @server.tool(scopes=["notes:read"])
    async def greet(context: Context) -> str:
        """Ask for a name."""
        answer = await context.elicit("Who is there?", Name)
        return f"Hello {answer.data.name}" if answer.data else "Nobody"

    return server


def text_of(result: CallToolResult) -> str:
    """Return the one text of a result."""
    (part,) = result.content
    assert isinstance(part, TextContent)
    return part.text
