"""The server that users declare their tools on."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import MappingProxyType
from typing import Any, TypeVar, overload

from pydantic import BaseModel

from gatepost.server.errors import ToolDefinitionError
from gatepost.server.metadata import Icon, ToolAnnotations, icons_of
from gatepost.server.signature import describe_function
from gatepost.server.tools import RegisteredTool, Tool

F = TypeVar("F", bound=Callable[..., Any])


class Server:
    """A named set of tools.

        server = Server("notes")

        @server.tool(scopes=["notes:write"])
        async def add(text: str, ctx: Context) -> str:
            "Keep a note."

    Args:
        name: How programs call this server.
        version: Of this server, for clients to show.
        title: How people call it.
        instructions: How its tools are to be used, for models.
        tools: What to begin with; functions are taken as the decorator would take them.
        lifespan: An async context manager function (`contextlib.asynccontextmanager`) that takes this server, opens
            what the tools share and yields it as a mapping, for `Context.state` to find.
        scopes: Words for scopes, shown on the consent page: `{"notes:write": "Add and change notes"}`. Scopes that no
            tool needs may be among them.
        website_url: Where people read more.
        icons: Pictures for clients to show, in the words of the wire or as `mcp_types.Icon`.
    """

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
        icons: Sequence[Icon | Mapping[str, Any] | BaseModel] = (),
    ) -> None:
        self.name = name
        self.version = version
        self.title = title
        self.instructions = instructions
        self.website_url = website_url
        self.icons = icons_of(icons, f"Server({name!r})")
        self.generation = 0
        """Grows with every tool added: what was computed from the list is stale when it differs."""
        self._lifespan = lifespan
        self._scopes = dict(scopes or {})
        self._state: Mapping[str, Any] | None = None
        self._tools: dict[str, RegisteredTool] = {}
        for tool in tools:
            self.add_tool(tool)

    @property
    def tools(self) -> Mapping[str, RegisteredTool]:
        """The tools by name, in the order in which they were added. A live, read-only view."""
        return MappingProxyType(self._tools)

    @property
    def scope_descriptions(self) -> Mapping[str, str]:
        """Every scope the server knows with the words of the consent page: those given, then those only tools name.

        A scope without words stands for itself.
        """
        descriptions = dict(self._scopes)
        for tool in self._tools.values():
            for scope in sorted(tool.scopes):
                descriptions.setdefault(scope, scope)
        return descriptions

    @property
    def state(self) -> Mapping[str, Any]:
        """What the lifespan yielded; empty while it is not open."""
        return {} if self._state is None else self._state

    @asynccontextmanager
    async def run_lifespan(self) -> AsyncIterator[None]:
        """Open the lifespan; `state` holds what it yields until the block ends. It may be opened again afterwards.

        Raises:
            RuntimeError: It is open.
            TypeError: The lifespan is no context manager, or yields something that is no mapping.
        """
        if self._state is not None:
            raise RuntimeError(f"the lifespan of {self.name!r} is already open")
        if self._lifespan is None:
            self._state = {}
            try:
                yield
            finally:
                self._state = None
            return
        label = describe_function(self._lifespan)
        if inspect.isasyncgenfunction(self._lifespan):
            raise TypeError(f"{label}: a lifespan needs the decorator @contextlib.asynccontextmanager")
        # Taken while it opens, so that nobody opens it a second time meanwhile.
        self._state = {}
        try:
            async with self._lifespan(self) as state:
                if not isinstance(state, Mapping | None):
                    raise TypeError(f"{label}: a lifespan yields a mapping or nothing, not a {type(state).__name__}")
                self._state = state or {}
                yield
        finally:
            self._state = None

    def add_tool(self, tool: Tool | Callable[..., Any]) -> RegisteredTool:
        """Add a tool.

        Raises:
            ToolDefinitionError: It cannot become one, or its name is taken.
        """
        registered = RegisteredTool(tool if isinstance(tool, Tool) else Tool(tool))
        if registered.name in self._tools:
            raise ToolDefinitionError(
                f"{describe_function(tool.func if isinstance(tool, Tool) else tool)}: "
                f"there is a tool {registered.name!r} already; give this one another name="
            )
        self._tools[registered.name] = registered
        self.generation += 1
        return registered

    @overload
    def tool(self, func: F, /) -> F: ...

    @overload
    def tool(
        self,
        /,
        *,
        scopes: Iterable[str] = (),
        name: str | None = None,
        title: str | None = None,
        description: str | None = None,
        annotations: ToolAnnotations | Mapping[str, Any] | BaseModel | None = None,
        icons: Sequence[Icon | Mapping[str, Any] | BaseModel] = (),
        inputs: type[BaseModel] | None = None,
        output: Any = None,
    ) -> Callable[[F], F]: ...

    def tool(
        self,
        func: F | None = None,
        /,
        *,
        scopes: Iterable[str] = (),
        name: str | None = None,
        title: str | None = None,
        description: str | None = None,
        annotations: ToolAnnotations | Mapping[str, Any] | BaseModel | None = None,
        icons: Sequence[Icon | Mapping[str, Any] | BaseModel] = (),
        inputs: type[BaseModel] | None = None,
        output: Any = None,
    ) -> F | Callable[[F], F]:
        """Offer a function as a tool: `@server.tool`, or `@server.tool(scopes=["notes:write"])`.

        The options are those of `Tool`. The function itself is returned, unchanged.

        Raises:
            ToolDefinitionError: It cannot become a tool, or its name is taken.
        """

        def register(decorated: F) -> F:
            self.add_tool(
                Tool(
                    decorated,
                    inputs=inputs,
                    output=output,
                    name=name,
                    title=title,
                    description=description,
                    scopes=scopes,
                    annotations=annotations,
                    icons=icons,
                )
            )
            return decorated

        return register if func is None else register(func)
