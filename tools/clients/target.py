"""What the clients are pointed at: one tool that tells who calls, and with which protocol."""

from __future__ import annotations

from gatepost import Context, Server

server = Server("clients", scopes={"notes:read": "Read your notes"})


@server.tool(scopes=["notes:read"])
def whoami(ctx: Context) -> str:
    """Tell who calls."""
    return f"{ctx.user.display_name} by {ctx.client.name}"
