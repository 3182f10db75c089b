"""The option `task` of a tool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gatepost.server.declared.extension_options import TaskOptions
from gatepost.server.declared.signature import describe_function
from gatepost.server.errors import ToolDefinitionError

if TYPE_CHECKING:
    from gatepost.server.declared.tools import Tool
    from gatepost.server.registry import Registry

OPTION: Final = "task"
LONGEST_TTL: Final = 30 * 24 * 3600
"""Seconds."""
_SHORTEST_INTERVAL: Final = 0.001


def take_option(registry: Registry, tool: Tool, value: Any) -> TaskOptions:
    """Return the options of a tool, and have the registry use the extension; raises ToolDefinitionError."""
    label = describe_function(tool.func)
    options = TaskOptions() if value is True else value
    if not isinstance(options, TaskOptions):
        raise ToolDefinitionError(f"{label}: task is True or TaskOptions(…)")
    if options.after is not None and options.after < 0:
        raise ToolDefinitionError(
            f"{label}: a call becomes a task after 0 seconds or more, or with after=None when told"
        )
    if not 1 <= options.ttl <= LONGEST_TTL or not _SHORTEST_INTERVAL <= options.poll_interval <= LONGEST_TTL:
        raise ToolDefinitionError(f"{label}: a task lives for 1 to {LONGEST_TTL} seconds, and is asked for as seldom")
    if options.resumable and options.after != 0:
        raise ToolDefinitionError(
            f"{label}: only what is a task from its beginning can be run again, so resumable needs after=0"
        )
    from gatepost.extensions.tasks.extension import Tasks  # noqa: PLC0415 - what declares is imported by what runs

    registry.use(Tasks())
    return options
