"""`JsonRpcHandler`: a JSON-RPC function with what its endpoint is called and which scopes it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gatepost.late_dataclass import dataclass
from gatepost.resource.scope_map import ScopeMap
from gatepost.server.objections import objection_to


@dataclass(frozen=True, slots=True)
class JsonRpcHandler:
    """A JSON-RPC function whose tools, prompts and resources need scopes.

        create_app(JsonRpcHandler(handle, scopes=ScopeMap(tools={"send_*": ["mail:send"]}), title="Mail"))

    A function that needs none of this is served as it is: `create_app(handle)`.

    Args:
        function: `dict -> dict | None`, sync or async, given one JSON-RPC message.
        scopes: which scopes what it offers needs, by name or pattern; those of MCP_SCOPES_FILE when None.
        title: its name for people; the name of the function when None.

    Raises:
        TypeError: `function` is no such function, or `scopes` no `ScopeMap`; the sentence says what to write instead.
    """

    function: Callable[[dict[str, Any]], Any]
    scopes: ScopeMap | None = None
    title: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is no handler."""
        if (objection := objection_to(self.function)) is not None:
            raise TypeError(objection)
        scopes: object = self.scopes
        if scopes is not None and not isinstance(scopes, ScopeMap):
            raise TypeError("scopes= takes a gatepost.ScopeMap")
