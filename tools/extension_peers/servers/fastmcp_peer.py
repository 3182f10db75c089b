# mypy: ignore-errors
# It runs in an environment of its own, with other versions than this checkout.
"""FastMCP with what it has of the extensions that the probe asks about: its tasks are a package, skills are newer."""

import contextlib
import importlib.util
import os
import sys

import uvicorn
from fastmcp import FastMCP
from fastmcp.apps.config import AppConfig, ResourceCSP
from fastmcp.utilities.tasks import TaskConfig
from opentelemetry import trace as tracing

server = FastMCP("peer")
has_tasks = importlib.util.find_spec("fastmcp_tasks") is not None


@server.tool
async def trace() -> str:
    """Say which trace the call belongs to."""
    context = tracing.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else "none"


if has_tasks:
    from fastmcp_tasks import TasksExtension

    server.add_extension(TasksExtension(url="memory://"))

    @server.tool(task=True)
    async def later(text: str) -> str:
        """Be a task."""
        return text

    @server.tool(task=TaskConfig(mode="required"))
    async def task_alone() -> str:
        """Be nothing but a task."""
        return "done"


@server.resource("ui://page", app=AppConfig(csp=ResourceCSP(connectDomains=["https://api.example.com"])))
def page() -> str:
    """Show something."""
    return "<!doctype html><p>page</p>"


@server.tool(app=AppConfig(resourceUri="ui://page"))
async def shown() -> str:
    """Be shown in a page."""
    return "shown"


@server.tool(app=AppConfig(resourceUri="ui://page", visibility=["app"]))
async def of_page() -> str:
    """Be called by the page alone."""
    return "of the page"


with contextlib.suppress(ModuleNotFoundError):
    from fastmcp.skills.provider import SkillsDirectoryProvider

    server.add_provider(SkillsDirectoryProvider(os.environ["PEER_SKILLS"]))

if __name__ == "__main__":
    uvicorn.run(server.http_app(json_response=True), port=int(sys.argv[1]), log_level="warning")
