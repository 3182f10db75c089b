"""Gatepost: Python tools on the open internet as an MCP server, with the lock built in.

    from gatepost import Server, Context

    server = Server("notes")

    @server.tool(scopes=["notes:write"])
    async def add(text: str, ctx: Context) -> str:
        "Keep a note."
        return f"{ctx.user.subject} noted: {text}"

Names are imported at first use, so that a script that only declares tools does not pay for the web framework.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "ClientError",
    "Completion",
    "Context",
    "Elicit",
    "ElicitURL",
    "InvalidAnswer",
    "ListRoots",
    "MissingRequiredClientCapability",
    "Prompt",
    "Protected",
    "Resource",
    "ResourceNotFound",
    "Sample",
    "Server",
    "Tool",
    "ToolError",
    "__version__",
    "create_app",
    "get_current_sub",
    "run",
    "run_stdio",
]

if TYPE_CHECKING:
    from gatepost.app import create_app, run
    from gatepost.protocol.errors import MissingRequiredClientCapability
    from gatepost.server.calls.client_requests import Elicit, ElicitURL, InvalidAnswer, ListRoots, Sample
    from gatepost.server.calls.context import Context, get_current_sub
    from gatepost.server.calls.pending_requests import ClientError
    from gatepost.server.declared.completion import Completion
    from gatepost.server.declared.prompts import Prompt
    from gatepost.server.declared.resources import Resource
    from gatepost.server.declared.tools import Tool
    from gatepost.server.errors import ResourceNotFound, ToolError
    from gatepost.server.server import Server
    from gatepost.stdio.serving import run_stdio
    from gatepost.web.resource.application import Protected

_HOMES = {
    "ClientError": "gatepost.server.calls.pending_requests",
    "Completion": "gatepost.server.declared.completion",
    "Context": "gatepost.server.calls.context",
    "Elicit": "gatepost.server.calls.client_requests",
    "ElicitURL": "gatepost.server.calls.client_requests",
    "InvalidAnswer": "gatepost.server.calls.client_requests",
    "ListRoots": "gatepost.server.calls.client_requests",
    "MissingRequiredClientCapability": "gatepost.protocol.errors",
    "Prompt": "gatepost.server.declared.prompts",
    "Protected": "gatepost.web.resource.application",
    "Resource": "gatepost.server.declared.resources",
    "ResourceNotFound": "gatepost.server.errors",
    "Sample": "gatepost.server.calls.client_requests",
    "Server": "gatepost.server.server",
    "Tool": "gatepost.server.declared.tools",
    "ToolError": "gatepost.server.errors",
    "create_app": "gatepost.app",
    "get_current_sub": "gatepost.server.calls.context",
    "run": "gatepost.app",
    "run_stdio": "gatepost.stdio.serving",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'gatepost' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
