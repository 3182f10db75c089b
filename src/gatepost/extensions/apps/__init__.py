"""Apps (MCP SEP-1865, `io.modelcontextprotocol/ui`): pages that a host shows beside the result of a tool.

`metadata` checks what tools and pages say of themselves, `pages` has the page as a resource, `options` takes the option
`ui=` of tools, `extension` says who is shown which tools.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gatepost.extensions.apps.extension import APPS
from gatepost.extensions.apps.pages import AppOptions, AppPage
from gatepost.server.registry import Registry

__all__ = ["AppOptions", "add_page"]


def add_page(registry: Registry, func: Callable[..., Any], uri: str, options: AppOptions) -> None:
    """Do what `Server.ui` does with a function; raises as that."""
    page = AppPage(func, uri, **options)
    registry.add(page, registry.resources, page.normal_uri)
    registry.use(APPS)
