"""The server that users declare their tools, resources and prompts on."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import MappingProxyType
from typing import Any, Final, TypeVar, overload

from pydantic import BaseModel

from gatepost.server.changes.bus import Change, ChangeBus, LocalChanges
from gatepost.server.declared.completion import Completer
from gatepost.server.declared.metadata import Annotations, Icon, ToolAnnotations, icons_of
from gatepost.server.declared.prompts import Prompt, RegisteredPrompt
from gatepost.server.declared.resources import RegisteredResource, Resource, check_has_uri
from gatepost.server.declared.signature import describe_function
from gatepost.server.declared.tools import RegisteredTool, Tool
from gatepost.server.errors import ToolDefinitionError

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_PAGE_SIZE: Final = 1000
"""How many entries of a list come at once: more than nearly any server has."""


class Server:
    """A named set of tools, resources and prompts.

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
        resources: Likewise.
        prompts: Likewise; functions are taken as the decorator would take them.
        lifespan: An async context manager function (`contextlib.asynccontextmanager`) that takes this server, opens
            what the tools share and yields it as a mapping, for `Context.state` to find.
        scopes: Words for scopes, shown on the consent page: `{"notes:write": "Add and change notes"}`. Scopes that no
            tool needs may be among them.
        website_url: Where people read more.
        icons: Pictures for clients to show, in the words of the wire or as `mcp_types.Icon`.
        page_size: How many entries of a list clients get at once.

    Raises:
        ToolDefinitionError: Something of it cannot be offered.
        ValueError: A page has no entries.
    """

    def __init__(
        self,
        name: str,
        *,
        version: str = "0.0.0",
        title: str | None = None,
        instructions: str | None = None,
        tools: Iterable[Tool | Callable[..., Any]] = (),
        resources: Iterable[Resource] = (),
        prompts: Iterable[Prompt | Callable[..., Any]] = (),
        lifespan: Callable[[Server], AbstractAsyncContextManager[Mapping[str, Any] | None]] | None = None,
        scopes: Mapping[str, str] | None = None,
        website_url: str | None = None,
        icons: Sequence[Icon | Mapping[str, Any] | BaseModel] = (),
        page_size: int = DEFAULT_PAGE_SIZE,
    ) -> None:
        if page_size < 1:
            raise ValueError("page_size is at least 1")
        self.name = name
        self.version = version
        self.title = title
        self.instructions = instructions
        self.website_url = website_url
        self.icons = icons_of(icons, f"Server({name!r})")
        self.page_size = page_size
        self.generation = 0
        """Grows with everything added: what was computed from a list is stale when it differs."""
        self.changes: ChangeBus = LocalChanges()
        """Carries what changes at run time to those who tell clients of it."""
        self._lifespan = lifespan
        self._scopes = dict(scopes or {})
        self._state: Mapping[str, Any] | None = None
        self._tools: dict[str, RegisteredTool] = {}
        self._resources: dict[str, RegisteredResource] = {}
        self._resource_templates: dict[str, RegisteredResource] = {}
        self._prompts: dict[str, RegisteredPrompt] = {}
        for tool in tools:
            self.add_tool(tool)
        for resource in resources:
            self.add_resource(resource)
        for prompt in prompts:
            self.add_prompt(prompt)

    @property
    def tools(self) -> Mapping[str, RegisteredTool]:
        """The tools by name, in the order in which they were added. A live, read-only view."""
        return MappingProxyType(self._tools)

    @property
    def resources(self) -> Mapping[str, RegisteredResource]:
        """The resources with a fixed URI by that, in the order in which they were added. A live, read-only view."""
        return MappingProxyType(self._resources)

    @property
    def resource_templates(self) -> Mapping[str, RegisteredResource]:
        """The resource templates by their text, likewise."""
        return MappingProxyType(self._resource_templates)

    @property
    def prompts(self) -> Mapping[str, RegisteredPrompt]:
        """The prompts by name, likewise."""
        return MappingProxyType(self._prompts)

    @property
    def scope_descriptions(self) -> Mapping[str, str]:
        """Every scope the server knows with the words of the consent page: those given, then those only used.

        A scope without words stands for itself.
        """
        descriptions = dict(self._scopes)
        used: list[frozenset[str]] = [tool.scopes for tool in self._tools.values()]
        used += [resource.scopes for resource in (*self._resources.values(), *self._resource_templates.values())]
        used += [prompt.scopes for prompt in self._prompts.values()]
        for scopes in used:
            for scope in sorted(scopes):
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

    def run_stdio(self, *, headers: Mapping[str, str] | None = None) -> None:
        """Serve on standard input and output; see `gatepost.run_stdio`."""
        # The one import upwards, named as such in the import contract; decision 0019.
        from gatepost.stdio.serving import run_stdio  # noqa: PLC0415 - this package runs without transports

        run_stdio(self, headers=headers)

    def resource_updated(self, uri: str) -> None:
        """Tell the clients that watch this resource that it changed. From any thread; costs nothing if there are none.

        Args:
            uri: As clients read it: for a resource template, with its variables filled in.
        """
        self.changes.publish(Change("resource", uri=uri))

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
        self.changes.publish(Change("tools", registered.scopes))
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

    def add_resource(self, resource: Resource) -> RegisteredResource:
        """Add a resource, or a resource template if its URI is one.

        Raises:
            ToolDefinitionError: It cannot become one, or its URI is taken.
        """
        registered = RegisteredResource(resource)
        known = self._resources if registered.template is None else self._resource_templates
        if registered.uri in known:
            raise ToolDefinitionError(
                f"{describe_function(resource.func)}: there is a resource {registered.uri!r} already"
            )
        known[registered.uri] = registered
        self.generation += 1
        self.changes.publish(Change("resources", registered.scopes))
        return registered

    def resource(
        self,
        uri: str,
        /,
        *,
        scopes: Iterable[str] = (),
        name: str | None = None,
        title: str | None = None,
        description: str | None = None,
        mime_type: str | None = None,
        size: int | None = None,
        annotations: Annotations | Mapping[str, Any] | BaseModel | None = None,
        icons: Sequence[Icon | Mapping[str, Any] | BaseModel] = (),
        completions: Mapping[str, Completer] | None = None,
        fresh_for: int = 0,
    ) -> Callable[[F], F]:
        """Offer what a function returns as a resource: `@server.resource("notes://today")`.

        With a template, `@server.resource("notes://{author}/{number}")`, the function's parameters are the template's.
        The options are those of `Resource`. The function itself is returned, unchanged.

        Raises:
            ToolDefinitionError: It cannot become a resource, or the URI is taken.
        """
        check_has_uri(uri, str)

        def register(decorated: F) -> F:
            self.add_resource(
                Resource(
                    decorated,
                    uri,
                    name=name,
                    title=title,
                    description=description,
                    mime_type=mime_type,
                    size=size,
                    scopes=scopes,
                    annotations=annotations,
                    icons=icons,
                    completions=completions,
                    fresh_for=fresh_for,
                )
            )
            return decorated

        return register

    def add_prompt(self, prompt: Prompt | Callable[..., Any]) -> RegisteredPrompt:
        """Add a prompt.

        Raises:
            ToolDefinitionError: It cannot become one, or its name is taken.
        """
        registered = RegisteredPrompt(prompt if isinstance(prompt, Prompt) else Prompt(prompt))
        if registered.name in self._prompts:
            raise ToolDefinitionError(
                f"{describe_function(prompt.func if isinstance(prompt, Prompt) else prompt)}: "
                f"there is a prompt {registered.name!r} already; give this one another name="
            )
        self._prompts[registered.name] = registered
        self.generation += 1
        self.changes.publish(Change("prompts", registered.scopes))
        return registered

    @overload
    def prompt(self, func: F, /) -> F: ...

    @overload
    def prompt(
        self,
        /,
        *,
        scopes: Iterable[str] = (),
        name: str | None = None,
        title: str | None = None,
        description: str | None = None,
        icons: Sequence[Icon | Mapping[str, Any] | BaseModel] = (),
        completions: Mapping[str, Completer] | None = None,
    ) -> Callable[[F], F]: ...

    def prompt(
        self,
        func: F | None = None,
        /,
        *,
        scopes: Iterable[str] = (),
        name: str | None = None,
        title: str | None = None,
        description: str | None = None,
        icons: Sequence[Icon | Mapping[str, Any] | BaseModel] = (),
        completions: Mapping[str, Completer] | None = None,
    ) -> F | Callable[[F], F]:
        """Offer a function as a prompt: `@server.prompt`, or `@server.prompt(scopes=["notes:read"])`.

        The options are those of `Prompt`. The function itself is returned, unchanged.

        Raises:
            ToolDefinitionError: It cannot become a prompt, or its name is taken.
        """

        def register(decorated: F) -> F:
            self.add_prompt(
                Prompt(
                    decorated,
                    name=name,
                    title=title,
                    description=description,
                    scopes=scopes,
                    icons=icons,
                    completions=completions,
                )
            )
            return decorated

        return register if func is None else register(func)
