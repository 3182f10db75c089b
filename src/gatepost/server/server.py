"""The server that users declare their tools, resources and prompts on."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, Unpack, overload

from pydantic import BaseModel

from gatepost.protocol.uris import normal_form
from gatepost.resource.scope_needs import ScopeNeeds
from gatepost.server.changes.bus import Change, ChangeBus, LocalChanges
from gatepost.server.declared.declaration import Icon, decorator, icons_of
from gatepost.server.declared.extension_options import take_options
from gatepost.server.declared.prompts import Prompt, PromptOptions
from gatepost.server.declared.resources import Resource, ResourceOptions, check_has_uri
from gatepost.server.declared.tools import Tool, ToolOptions
from gatepost.server.extension import Extension
from gatepost.server.lifespan import Lifespan
from gatepost.server.registry import Kind, Registry, prefix_of
from gatepost.server.scope_words import ScopeWords

if TYPE_CHECKING:
    # For the annotation alone: this package runs without a web framework.
    from starlette.types import ASGIApp

    from gatepost.extensions.apps import AppOptions
    from gatepost.openapi.building import OpenAPIOptions, Source
    from gatepost.server.calls.around import Hook

F = TypeVar("F", bound=Callable[..., Any])
H = TypeVar("H", bound="Hook")

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
        description: What it does, in a sentence for people; everybody may read it.
        instructions: How its tools are to be used, for models.
        tools: What to begin with; functions are taken as the decorator would take them.
        resources: Likewise.
        prompts: Likewise; functions are taken as the decorator would take them.
        lifespan: An async context manager function (`contextlib.asynccontextmanager`) that takes this server, opens
            what the tools share and yields it as a mapping, for `Context.state` to find.
        scopes: Words for scopes, shown on the consent page: `{"notes:write": "Add and change notes"}`. Scopes that no
            tool needs may be among them.
        implied_scopes: Which scopes open what others are for: `{"notes:admin": ["notes:write"], "notes:write":
            ["notes:read"]}`. What was granted stays as it is; what it implies counts wherever a scope is asked for.
        scope_groups: Headings for scopes whose names begin alike, by that: `{"notes": "Your notes"}`.
        website_url: Where people read more.
        icons: Pictures for clients to show, in the words of the wire or as `mcp_types.Icon`.
        page_size: How many entries of a list clients get at once.
        strict_arguments: The option of that name (`ToolOptions`) for every tool that is declared here by its function.

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
        description: str | None = None,
        instructions: str | None = None,
        tools: Iterable[Tool | Callable[..., Any]] = (),
        resources: Iterable[Resource] = (),
        prompts: Iterable[Prompt | Callable[..., Any]] = (),
        lifespan: Callable[[Server], AbstractAsyncContextManager[Mapping[str, Any] | None]] | None = None,
        scopes: Mapping[str, str] | None = None,
        implied_scopes: Mapping[str, Iterable[str]] | None = None,
        scope_groups: Mapping[str, str] | None = None,
        website_url: str | None = None,
        icons: Sequence[Icon | Mapping[str, Any] | BaseModel] = (),
        page_size: int = DEFAULT_PAGE_SIZE,
        strict_arguments: bool = False,
    ) -> None:
        if page_size < 1:
            raise ValueError("page_size is at least 1")
        self.name = name
        self.version = version
        self.title = title
        self.description = description
        self.instructions = instructions
        self.website_url = website_url
        self.icons = icons_of(icons, f"Server({name!r})")
        self.page_size = page_size
        self.strict_arguments = strict_arguments
        self.registry = Registry(self)
        self.changes: ChangeBus = LocalChanges()
        """Carries what changes at run time to those who tell clients of it."""
        self._lifespan = Lifespan(self, lifespan)
        self._is_running = False
        self._scope_words = ScopeWords(self.registry, scopes or {}, implied_scopes or {}, scope_groups or {})
        for resource in resources:
            self.add_resource(resource)
        for tool in tools:  # after the pages that they show
            self.add_tool(tool)
        for prompt in prompts:
            self.add_prompt(prompt)

    @classmethod
    def from_openapi(cls, source: Source, /, **options: Unpack[OpenAPIOptions]) -> Self:
        """Return a server whose tools are the operations of an OpenAPI description (docs/openapi.md).

        The description, of 3.0 or 3.1, is an address, a file, or what one holds. Raises ImportError without the extra
        `openapi`, and UnusableDescription, whose message says where, and what to write instead.
        """
        from gatepost.openapi.building import server_from  # noqa: PLC0415 - upwards, as in `serve_stdio`

        return server_from(cls, source, options)

    @property
    def generation(self) -> int:
        """Grows with everything that is added or switched: what was computed from a list is stale when it differs."""
        return self.registry.generation

    # Read-only views of what callers find, in the order in which things were added.

    @property
    def tools(self) -> Mapping[str, Tool]:
        """By name."""
        return MappingProxyType(self.registry.tools.there)

    @property
    def resources(self) -> Mapping[str, Resource]:
        """Those with a fixed URI, by that in its normal form (`protocol.uris`)."""
        return MappingProxyType(self.registry.resources.there)

    @property
    def resource_templates(self) -> Mapping[str, Resource]:
        """By their text."""
        return MappingProxyType(self.registry.resource_templates.there)

    @property
    def prompts(self) -> Mapping[str, Prompt]:
        """By name."""
        return MappingProxyType(self.registry.prompts.there)

    @property
    def implied_scopes(self) -> dict[str, frozenset[str]]:
        """For each scope that implies others, here or in an included server, all that it opens, itself included."""
        return self._scope_words.implied

    @property
    def scope_groups(self) -> dict[str, str]:
        """The operator's words for groups of scopes, by what their names begin with; this server's before others'."""
        return self._scope_words.groups

    @property
    def scope_descriptions(self) -> Mapping[str, str]:
        """Every scope the server knows with the words of the consent page: those given, then those only used.

        A scope without words stands for itself.
        """
        return self._scope_words.descriptions

    @property
    def destructive_scopes(self) -> frozenset[str]:
        """The scopes of tools that say (`destructiveHint`) that they may delete or overwrite something."""
        return self._scope_words.destructive

    @property
    def state(self) -> Mapping[str, Any]:
        """What the lifespan yielded; empty while it is not open."""
        return self._lifespan.state

    @asynccontextmanager
    async def run_lifespan(self) -> AsyncIterator[None]:
        """Open the lifespan, and those of included servers; `state` holds what it yields until the block ends.

        It may be opened again afterwards.

        Raises:
            RuntimeError: It is open.
            TypeError: The lifespan is no context manager, or yields something that is no mapping.
        """
        if self._is_running:
            raise RuntimeError(
                f"the lifespan of {self.name!r} is already open; tests share a gatepost.testing.RunningServer"
            )
        self._is_running = True  # while it opens, too, so that nobody opens it a second time
        try:
            async with self._lifespan.held():
                yield
        finally:
            self._is_running = False

    @cached_property
    def app(self) -> ASGIApp:
        """The endpoint alone, as an ASGI application without a login, for an app that knows its callers by itself.

            app = Starlette(middleware=[Middleware(AuthenticationMiddleware, backend=backend)])
            app.mount("/mcp", server.app)

        It serves at the very path of the mount whoever `AuthenticationMiddleware` has authenticated, with the scopes
        that it grants, and without it everybody on this machine; with MCP_REQUIRE_AUTH=false everybody everywhere.
        Others are answered 401. `create_app` is what has a login.

        Raises:
            SettingsError: A setting is wrong.
        """
        from gatepost.app import bare_app  # noqa: PLC0415 - upwards, as in `serve_stdio`

        return bare_app(self)

    def run(self, *, host: str | None = None, port: int | None = None, **options: Any) -> None:
        """Serve with the login, until SIGINT or SIGTERM: `gatepost.run(server, …)`, whose other arguments it takes."""
        from gatepost.app import run  # noqa: PLC0415 - upwards, as in `serve_stdio`

        run(self, host=host, port=port, **options)

    async def serve_stdio(self, headers: Mapping[str, str] | None = None) -> None:
        """Serve on standard input and output until input ends, or SIGINT or SIGTERM comes: `gatepost.run_stdio`.

        For programs that have an event loop already; it raises as that does. `headers` are what tools find as
        `ctx.request.headers`.
        """
        from gatepost.stdio.serving import serve_standard_streams  # noqa: PLC0415 - upwards, which .importlinter names

        await serve_standard_streams(self, headers=headers)

    def include(self, other: Server, *, prefix: str | None = None) -> None:
        """Offer all that another server offers, now and later, as if it were declared here.

        Tools and prompts are called `prefix_name`; resources keep their URIs. Scopes and their words come along, the
        other's hooks and lifespan hold for what is its own, and what changes there clients hear of here.

        Args:
            other: It may include others itself; it is nowhere else in this one.
            prefix: Of ASCII letters, digits, `_` and `-`; names stay as they are without.

        Raises:
            ToolDefinitionError: A name or URI is taken, or `other` includes this one or is included already.
            RuntimeError: This server runs, and would not open the other's lifespan any more.
        """
        if any(above.is_open for above in self._lifespan.above()):
            raise RuntimeError(f"{self.name!r} runs already; include other servers before it starts")
        self.registry.include(other.registry, prefix_of(prefix))
        self._scope_words.include(other._scope_words)
        self._lifespan.include(other._lifespan)

    def use(self, extension: Extension) -> Extension:
        """Offer an extension of the protocol to clients that know it, and return it, or the one that there is.

        Raises ToolDefinitionError if it has no identifier such as `com.example/weather`.
        """
        return self.registry.use(extension)

    def resource_updated(self, uri: str) -> None:
        """Tell the clients that watch this resource that it changed. From any thread; costs nothing if there are none.

        `uri` is as clients read it, in any spelling: for a resource template, with its variables filled in.
        """
        self.registry.publish(Change("resource", uri=normal_form(uri) or uri))

    def around(self, hook: H, /) -> H:
        """Have a function called around every call of a tool, read of a resource, prompt and list: `@server.around`.

        It is given a `Call` and `call_next`, and what it returns counts: what `await call_next()` gave, something else
        in its place, or an answer without calling anything. What it raises is treated as if the function raised it. The
        one that is declared first is the outermost.

        Args:
            hook: async; or a plain function, which must not block, and returns an answer or `call_next()` itself.

        Raises:
            ToolDefinitionError: It does not take the two.
        """
        self.registry.around(hook)
        return hook

    def disable(self, name: str, *, kind: Kind | None = None) -> None:
        """Switch something off at run time: nobody finds it any more, in lists or by its name, until `enable`.

        Clients that want to know are notified that the list changed. From any thread, for this process alone.

        Args:
            name: of a tool or prompt, or the URI or template of a resource.
            kind: what is meant, where several go by that name; all of them by default.

        Raises:
            LookupError: there is nothing of that name.
        """
        self.registry.switch(name, kind, on=False)

    def enable(self, name: str, *, kind: Kind | None = None) -> None:
        """Switch on again what `disable` switched off; as that."""
        self.registry.switch(name, kind, on=True)

    def add_tool(self, tool: Tool | Callable[..., Any]) -> Tool:
        """Add a tool; raises ToolDefinitionError if it cannot become one, or its name is taken."""
        added = tool if isinstance(tool, Tool) else Tool(tool, strict_arguments=self.strict_arguments)
        take_options(self.registry, added)
        return self.registry.add(added, self.registry.tools, added.name)

    def add_resource(self, resource: Resource) -> Resource:
        """Add a resource, or a resource template if its URI is one; raises ToolDefinitionError if the URI is taken."""
        check_has_uri(resource, Resource)
        if resource.template is None:
            return self.registry.add(resource, self.registry.resources, resource.normal_uri)
        return self.registry.add(resource, self.registry.resource_templates, resource.uri)

    def add_prompt(self, prompt: Prompt | Callable[..., Any]) -> Prompt:
        """Add a prompt; raises ToolDefinitionError if it cannot become one, or its name is taken."""
        added = prompt if isinstance(prompt, Prompt) else Prompt(prompt)
        return self.registry.add(added, self.registry.prompts, added.name)

    def add_skills(
        self,
        folder: str | os.PathLike[str],
        *,
        prefix: str = "",
        scopes: Iterable[str | ScopeNeeds] = (),
        fresh_for: int = 0,
    ) -> None:
        """Offer the skills in a folder to clients: files of instructions for models (docs/skills.md).

        Args:
            folder: With a folder for each skill, at any depth, which has a `SKILL.md`; or itself one.
            prefix: What their paths begin with, such as `acme/billing` for `skill://acme/billing/refunds/SKILL.md`.
            scopes: All of them are needed to see and to read these skills.
            fresh_for: How many seconds clients may take a file that they read for fresh.

        Raises:
            ToolDefinitionError: Something in it cannot be offered; the message names it and says what to change.
        """
        from gatepost.extensions.skills import add_skills  # noqa: PLC0415 - upwards, as in `serve_stdio`

        add_skills(self.registry, Path(folder), prefix=prefix, scopes=scopes, fresh_for=fresh_for)

    @overload
    def tool(self, func: F, /) -> F: ...

    @overload
    def tool(self, /, **options: Unpack[ToolOptions]) -> Callable[[F], F]: ...

    def tool(self, func: F | None = None, /, **options: Unpack[ToolOptions]) -> F | Callable[[F], F]:
        """Offer a function as a tool: `@server.tool`, or `@server.tool(scopes=["notes:write"])`.

        The function itself is returned, unchanged. Raises ToolDefinitionError as `Tool` and `add_tool` do.
        """
        options = {"strict_arguments": self.strict_arguments, **options}
        register = decorator(lambda decorated: self.add_tool(Tool(decorated, **options)))
        return register if func is None else register(func)

    def resource(self, uri: str, /, **options: Unpack[ResourceOptions]) -> Callable[[F], F]:
        """Offer what a function returns as a resource: `@server.resource("notes://today")`.

        With a template, `@server.resource("notes://{author}/{number}")`, the function's parameters are the template's.
        The function itself is returned, unchanged. Raises ToolDefinitionError as `Resource` and `add_resource` do.
        """
        check_has_uri(uri, str)
        return decorator(lambda decorated: self.add_resource(Resource(decorated, uri, **options)))

    def ui(self, uri: str, /, **options: Unpack[AppOptions]) -> Callable[[F], F]:
        """Offer the HTML document that a function returns as an app: `@server.ui("ui://weather/chart")` (docs/apps.md).

        Tools that are declared below show their results in it: `@server.tool(ui="ui://weather/chart")`. The function
        itself is returned, unchanged. Raises ToolDefinitionError as `resource` does.
        """
        from gatepost.extensions.apps import add_page  # noqa: PLC0415 - upwards, as in `serve_stdio`

        check_has_uri(uri, str)
        return decorator(lambda decorated: add_page(self.registry, decorated, uri, options))

    @overload
    def prompt(self, func: F, /) -> F: ...

    @overload
    def prompt(self, /, **options: Unpack[PromptOptions]) -> Callable[[F], F]: ...

    def prompt(self, func: F | None = None, /, **options: Unpack[PromptOptions]) -> F | Callable[[F], F]:
        """Offer a function as a prompt: `@server.prompt`, or `@server.prompt(scopes=["notes:read"])`.

        The function itself is returned, unchanged. Raises ToolDefinitionError as `Prompt` and `add_prompt` do.
        """
        register = decorator(lambda decorated: self.add_prompt(Prompt(decorated, **options)))
        return register if func is None else register(func)
