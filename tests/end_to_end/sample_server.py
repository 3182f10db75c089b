"""What the end-to-end tests serve."""

import asyncio
from pathlib import Path

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


@server.tool
async def wait(directory: str) -> str:
    """Say that the call has begun, and end when told to: by two files in a directory of the test's."""
    (Path(directory) / "begun").touch()
    while not (Path(directory) / "end").exists():  # noqa: ASYNC110 - the test is another process
        await asyncio.sleep(0.01)
    return "done"
