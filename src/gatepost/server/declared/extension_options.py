"""Options of tools that belong to an extension: each is taken by the extension itself, imported when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from gatepost.late_dataclass import dataclass

TakeOption = Callable[[Any, Any, Any], Any]
"""Given the registry, a tool that is about to be declared and the option, has the registry use the extension, and
returns what the tool keeps of it. Raises ToolDefinitionError if it is wrong."""

_TAKEN_BY: Final[Mapping[str, str]] = {
    "task": "gatepost.extensions.tasks.options",
    "ui": "gatepost.extensions.apps.options",
}
"""The module of each, whose `take_option` is called."""
EXTENSION_OPTIONS: Final = frozenset(_TAKEN_BY)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """How a tool is a task, for clients that know tasks: `@server.tool(task=TaskOptions(ttl=600))`."""

    after: float | None = 0.0
    """Seconds for which a call is an ordinary one before it becomes a task. 0: at once. None: when the function says so
    (`continue_as_task`)."""
    ttl: float = 3600.0
    """Seconds from its beginning for which it may run, and for which its result is kept; a result is kept for five
    minutes at least."""
    poll_interval: float = 1.0
    """How often clients are to ask for it, in seconds."""
    resumable: bool = False
    """Whether it is run again from its beginning when the process that runs it dies. Otherwise it has failed then."""
    required: bool = False
    """Whether clients that do not know tasks cannot call it: they get the error -32021. Others call it as any tool."""


def given_in(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a tool's options that belong to an extension and say something."""
    return {
        name: value
        for name, value in options.items()
        if name in EXTENSION_OPTIONS and value is not None and value is not False
    }


def take_options(registry: Any, tool: Any) -> None:
    """Have extensions take the options of a tool that are theirs; raises ToolDefinitionError if one is wrong."""
    for name, value in tool.of_extensions.items():
        take: TakeOption = importlib.import_module(_TAKEN_BY[name]).take_option
        tool.of_extensions[name] = take(registry, tool, value)
