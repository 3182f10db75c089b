"""One password in front of a few tools, in public too: whoever knows it is the owner.

ADMIN_PASSWORD="a few words in a row" uvicorn --factory examples.static_password:make_app
"""

import os

from fastapi import FastAPI

from gatepost import Context, Server, StaticPasswordProvider, create_app, get_current_sub

server = Server("counter", title="Counter", instructions="Counts what the owner wants counted.")

counts: dict[str, int] = {}


@server.tool
def count(what: str) -> int:
    """Count one more of something, and return how many there are."""
    key = f"{get_current_sub()}: {what}"
    counts[key] = counts.get(key, 0) + 1
    return counts[key]


@server.tool(annotations={"readOnlyHint": True})
def whoami(ctx: Context) -> str:
    """Say who is logged in."""
    return f"{ctx.user.name} ({ctx.user.issuer})"


def make_app() -> FastAPI:
    """Return the app; `gatepost serve examples/static_password.py:server` needs none of this, only the variable."""
    return create_app(server, provider=StaticPasswordProvider(os.environ["ADMIN_PASSWORD"]))
