"""The option `ui=` of tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatepost.extensions.apps.extension import APPS
from gatepost.extensions.apps.metadata import ToolUi, tool_metadata
from gatepost.extensions.apps.pages import AppPage, needs_of_any
from gatepost.protocol.uris import normal_form
from gatepost.server.declared.signature import describe_function
from gatepost.server.declared.tools import Tool
from gatepost.server.errors import ToolDefinitionError
from gatepost.server.registry import Registry


def take_option(registry: Registry, tool: Tool, given: str | Mapping[str, Any]) -> ToolUi:
    """Have a tool say in which page its results are shown, and who may call it; return what it says.

    Raises ToolDefinitionError if it is not as specified, or there is no such page.
    """
    label = describe_function(tool.func)
    ui = tool_metadata(label, given)
    uri = ui.get("resourceUri")
    if uri is not None and registry.clash(registry.shelves.index(registry.tools), tool.name) is None:
        page = registry.resources.known.get(normal_form(uri) or uri)
        if not isinstance(page, AppPage):
            raise ToolDefinitionError(f"{label}: there is no app {uri!r}; declare it with @server.ui({uri!r}) above")
        needs_of_any([tool.scopes, *(other.scopes for other in page.shown_by)])
        page.shown_by.append(tool)
    tool.definition = {**tool.definition, "_meta": {**tool.definition.get("_meta", {}), "ui": ui}}
    registry.use(APPS)
    return ui
