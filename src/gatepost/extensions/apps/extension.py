"""The extension itself: what is advertised, and which tools are shown to whom (SEP-1865, "Visibility")."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final
from weakref import WeakKeyDictionary

from gatepost.extensions.apps.metadata import MIME_TYPE
from gatepost.protocol.messages import Request
from gatepost.protocol.versions import Revision
from gatepost.server.calls.exchange import Exchange
from gatepost.server.declared.tools import Tool
from gatepost.server.extension import Extension, Stage, Wrap, settings_in
from gatepost.server.listing import Listing
from gatepost.server.methods.served_server import Method, ServedServer
from gatepost.server.registry import Registry
from gatepost.server.target import Result


class Apps(Extension):
    """Pages beside the results of tools. It holds nothing of a server: pages and tools are with its declarations."""

    identifier = "io.modelcontextprotocol/ui"
    stage: ClassVar[Stage] = "stable"
    is_in_handshake = True

    def __init__(self) -> None:
        self._lists: WeakKeyDictionary[ServedServer, tuple[Listing, Listing]] = WeakKeyDictionary()
        """Of each server the list for clients that know apps, and that for others. Neither is for caches to share."""

    def settings(self) -> Mapping[str, Any]:
        """See `Extension`."""
        return {"mimeTypes": [MIME_TYPE]}

    def wraps(self) -> Mapping[str, Wrap]:
        """See `Extension`."""
        return {"tools/list": self._without_tools_of_pages}

    def _without_tools_of_pages(self, whole: Method) -> Method:
        """Return `tools/list` for servers that may have tools for pages alone, given that for others.

        Clients that do not know apps would offer their model what is for pages alone. Such a tool can be called all the
        same: hosts that show pages without declaring it send on what these call, and who may call it is for scopes to
        say.
        """

        async def list_tools(served: ServedServer, request: Request, revision: Revision, exchange: Exchange) -> Result:
            if all(map(_is_for_models, served.tools.there.values())):
                return await whole(served, request, revision, exchange)
            lists = self._lists.get(served)
            if lists is None:
                those = (served.tools.listed, partial(_for_models, served.registry))
                first, second = (served.listing("tools/list", "tools", each, is_private=True) for each in those)
                lists = self._lists[served] = (first, second)
            listing = lists[0] if knows_apps(settings_in(self, request, exchange)) else lists[1]
            if served.registry.is_hooked:
                return await served.hooked_list(listing, request, revision, exchange)
            return listing.page(request.params, revision, exchange.shown)

        return list_tools


APPS: Final = Apps()


def knows_apps(settings: Mapping[str, Any] | None) -> bool:
    """Say whether a client with these settings shows pages ("Client Capabilities")."""
    if settings is None:
        return False
    kinds = settings.get("mimeTypes", [MIME_TYPE])
    return isinstance(kinds, list) and MIME_TYPE in kinds


def _for_models(registry: Registry) -> list[Tool]:
    return [tool for tool in registry.tools.there.values() if _is_for_models(tool)]


def _is_for_models(tool: Tool) -> bool:
    ui = tool.definition.get("_meta", {}).get("ui", {})
    return "model" in ui.get("visibility", ["model"])
