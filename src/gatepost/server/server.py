"""The server that users declare their tools on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar, overload

from gatepost.server.tools import RegisteredTool, Tool

F = TypeVar("F", bound=Callable[..., Any])


class Server:
    """A named set of tools. Every read-only property below may be read at any time."""

    name: str
    version: str
    title: str | None
    instructions: str | None
    website_url: str | None
    icons: list[dict[str, Any]]
    generation: int
    """Grows with every tool added: what was computed from the list is stale when it differs."""

    def __init__(
        self,
        name: str,
        *,
        version: str = "0.0.0",
        title: str | None = None,
        instructions: str | None = None,
        tools: Iterable[Tool | Callable[..., Any]] = (),
        lifespan: Callable[[Server], AbstractAsyncContextManager[Mapping[str, Any] | None]] | None = None,
        scopes: Mapping[str, str] | None = None,
        website_url: str | None = None,
        icons: Sequence[Any] = (),
    ) -> None:
        raise NotImplementedError

    @property
    def tools(self) -> Mapping[str, RegisteredTool]:
        """The tools by name, in the order in which they were added. A live, read-only view."""
        raise NotImplementedError

    @property
    def scope_descriptions(self) -> Mapping[str, str]:
        """Every scope the server knows with the words of the consent page: those given first, then those of tools."""
        raise NotImplementedError

    @property
    def state(self) -> Mapping[str, Any]:
        """What the lifespan yielded; empty when it is not open."""
        raise NotImplementedError

    def run_lifespan(self) -> AbstractAsyncContextManager[None]:
        """Open the lifespan; `state` holds what it yields until the block ends. RuntimeError when it is open."""
        raise NotImplementedError

    def add_tool(self, tool: Tool | Callable[..., Any]) -> RegisteredTool:
        """Add a tool. ToolDefinitionError when it cannot become one or its name is taken."""
        raise NotImplementedError

    @overload
    def tool(self, func: F, /) -> F: ...

    @overload
    def tool(
        self,
        *,
        scopes: Sequence[str] = (),
        name: str | None = None,
        title: str | None = None,
        description: str | None = None,
        annotations: Mapping[str, Any] | None = None,
        icons: Sequence[Any] = (),
        output: Any = None,
    ) -> Callable[[F], F]: ...

    def tool(self, func: F | None = None, /, **options: Any) -> F | Callable[[F], F]:
        """Offer a function as a tool: `@server.tool` or `@server.tool(scopes=["notes:write"])`. Returns it unchanged."""
        raise NotImplementedError
