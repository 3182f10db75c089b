"""Gatepost with every extension that the probe asks about."""

import os

from gatepost import Context, Server, TaskOptions

server = Server("peer")


@server.tool
async def trace(ctx: Context) -> str:
    """Say which trace the call belongs to."""
    return ctx.traceparent or "none"


@server.tool(task=True)
async def later(text: str) -> str:
    """Be a task."""
    return text


@server.tool(task=TaskOptions(required=True))
async def task_alone() -> str:
    """Be nothing but a task."""
    return "done"


@server.ui("ui://page", csp={"connectDomains": ["https://api.example.com"]})
async def page() -> str:
    """Show something."""
    return "<!doctype html><p>page</p>"


@server.tool(ui="ui://page")
async def shown() -> str:
    """Be shown in a page."""
    return "shown"


@server.tool(ui={"resourceUri": "ui://page", "visibility": ["app"]})
async def of_page() -> str:
    """Be called by the page alone."""
    return "of the page"


server.add_skills(os.environ["PEER_SKILLS"])
