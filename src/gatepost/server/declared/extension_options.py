"""Options of tools that belong to an extension: each is taken by the extension itself, imported when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Final

TakeOption = Callable[[Any, Any, Any], Any]
"""Given the registry, a tool that is about to be declared and the option, has the registry use the extension, and
returns what the tool keeps of it. Raises ToolDefinitionError if it is wrong."""

_TAKEN_BY: Final[Mapping[str, str]] = {"ui": "gatepost.extensions.apps.options"}
"""The module of each, whose `take_option` is called."""
EXTENSION_OPTIONS: Final = frozenset(_TAKEN_BY)


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
