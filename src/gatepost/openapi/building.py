"""`Server.from_openapi`: from a description and options to a server."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar

import httpx2

from gatepost.openapi.calling import API, LARGEST_ANSWER, SECONDS, GiveHeaders, Headers
from gatepost.openapi.description import Description, Found, read_description
from gatepost.openapi.documents import open_documents
from gatepost.openapi.errors import UnmatchedSelection, UnusableDescription, UnusableOperation, UnusableOperations
from gatepost.openapi.naming import plain, tool_name
from gatepost.openapi.schemas import SchemaReader
from gatepost.openapi.selection import Choice, ScopeRule, ToolScopes, read_selection
from gatepost.openapi.servers import Servers, read_servers
from gatepost.openapi.tools import ToolMaker

if TYPE_CHECKING:
    from gatepost.server.server import Server

S = TypeVar("S", bound="Server")
Source = str | os.PathLike[str] | Mapping[str, Any]
_NOT_NAMES: Final = re.compile(r"[^a-z0-9]+")
_MOST_TOOLS: Final = 5000
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class OpenAPIOptions(TypedDict, total=False):
    """The options of `Server.from_openapi`: those of the API, and below them those of the server itself."""

    client: httpx2.AsyncClient | None
    """Makes the requests, with headers, proxies and certificates of its own. It stays open. Its `base_url`, if it has
    one, is where requests go. By default they go straight, to servers that the system's certificates vouch for."""
    server_url: str | Sequence[str] | None
    """Where requests go: the address to which paths are appended. Of several, the first is that of operations that name
    no server of their own. It may be left out where the description lies at the API's own origin."""
    server_variables: Mapping[str, str]
    """Values for the variables in the addresses of the description."""
    headers: Headers | GiveHeaders
    """Go with each request; or a function, async or not, that is given the `Context` of the call and returns them."""
    query: Mapping[str, str]
    """Parameters that go with each request, such as an API key."""
    upstream: str | None
    """The login provider whose token of the person goes with each request, as `Authorization: Bearer`."""
    include: Choice | None
    """Which operations become tools; all of them by default."""
    exclude: Choice | None
    """Which do not."""
    deprecated: bool
    """Whether deprecated operations become tools, too."""
    tool_scopes: ToolScopes
    """What each tool needs; or by method, tag (`tag:pets`) and `*` for the rest; or a function of the operation."""
    names: Mapping[str, str]
    """Names of tools, by `operationId` or such as `GET /pets`."""
    timeout: float
    """Seconds that a request may take."""
    largest_answer: int
    """Bytes that an answer may have."""
    output_schemas: bool
    """Whether tools list what they answer with."""
    name: str | None
    """Of the server; from the title of the API by default."""
    version: str | None
    """Likewise; that of the API by default."""
    title: str | None
    description: str | None
    instructions: str | None
    lifespan: Callable[[Server], AbstractAsyncContextManager[Mapping[str, Any] | None]] | None
    scopes: Mapping[str, str] | None
    implied_scopes: Mapping[str, Iterable[str]] | None
    scope_groups: Mapping[str, str] | None
    website_url: str | None
    page_size: int
    strict_arguments: bool


_SERVERS_OWN: Final = frozenset(
    {"implied_scopes", "instructions", "page_size", "scope_groups", "scopes", "website_url"}
)


def server_from(kind: type[S], source: Source, options: OpenAPIOptions) -> S:
    """Return a server of this class for a description; `Server.from_openapi` says the rest."""
    for unknown in options.keys() - OpenAPIOptions.__optional_keys__:
        raise TypeError(f"from_openapi has no option {unknown!r}")
    client = _checked_client(options.get("client"))
    description = read_description(*open_documents(source))
    servers = _servers(description, client, options)
    headers, query = _checked_headers(options.get("headers", {})), dict(options.get("query", {}))
    api = API(
        given=client,
        url=servers.urls[0],
        headers=headers,
        query=query,
        upstream=options.get("upstream"),
        seconds=options.get("timeout", SECONDS),
        largest_answer=options.get("largest_answer", LARGEST_ANSWER),
    )
    title = options.get("title") or description.title
    server = kind(
        options.get("name") or _name_from(description),
        version=options.get("version") or description.version or "0.0.0",
        title=title,
        description=options.get("description") or description.summary,
        lifespan=_lifespan(api, options.get("lifespan")),
        strict_arguments=options.get("strict_arguments", False),
        **{name: value for name, value in options.items() if name in _SERVERS_OWN},  # type: ignore[arg-type]  # by name
    )
    fixed = {} if callable(headers) else headers
    maker = ToolMaker(
        description=description,
        servers=servers,
        api=api,
        filled_in={"header": {name.lower() for name in fixed}, "query": query.keys()},
        lists_outputs=options.get("output_schemas", True),
        is_strict=options.get("strict_arguments", False),
        sent=SchemaReader(description.documents, description.is_30, for_requests=True),
        received=SchemaReader(description.documents, description.is_30, for_requests=False),
    )
    _add_tools(server, maker, options)
    return server


def _add_tools(server: Server, maker: ToolMaker, options: OpenAPIOptions) -> None:
    rule = ScopeRule(options.get("tool_scopes", ()))
    chosen = _chosen(maker.description, options)
    names = _names(chosen, options.get("names", {}))
    unusable: list[UnusableOperation] = []
    for found, name in zip(chosen, names, strict=True):
        scopes = rule.scopes_of(found.operation)
        try:
            server.add_tool(maker.tool_for(found, name, scopes))
        except UnusableOperation as error:
            unusable.append(error)
    if unusable:
        raise unusable[0] if len(unusable) == 1 else UnusableOperations(unusable)
    rule.check()


def _chosen(description: Description, options: OpenAPIOptions) -> list[Found]:
    """Return the operations that become tools."""
    include = read_selection("include", options.get("include"))
    exclude = read_selection("exclude", options.get("exclude"))
    takes_deprecated = options.get("deprecated", False)
    chosen: list[Found] = []
    for found in description.operations():
        operation = found.operation
        is_in = include is None or include.fits(operation)
        is_out = exclude is not None and exclude.fits(operation)
        if is_in and not is_out and (takes_deprecated or not operation.is_deprecated):
            chosen.append(found)
    for selection in (include, exclude):
        if selection is not None:
            selection.check()
    if not chosen:
        raise UnmatchedSelection("no operation of the description becomes a tool; see include, exclude and deprecated")
    if len(chosen) > _MOST_TOOLS:
        raise UnusableDescription(
            f"{len(chosen)} operations are too many; choose fewer than {_MOST_TOOLS} with include="
        )
    return chosen


def _names(chosen: Sequence[Found], given: Mapping[str, str]) -> list[str]:
    """Return the names of the tools. Those that were given come first, so that no other one takes them."""
    operations = [found.operation for found in chosen]
    known = {key for one in operations for key in (one.id, str(one)) if key is not None}
    if unknown := given.keys() - known:
        raise UnmatchedSelection(f"names has {min(unknown)!r}, which is no operation that becomes a tool")
    said = [given.get(str(one)) or given.get(one.id or "") for one in operations]
    taken = {name for name in said if name is not None}
    if len(taken) < sum(name is not None for name in said):
        raise ValueError("names gives one name to several operations")
    names: list[str] = []
    for operation, name in zip(operations, said, strict=True):
        own = name or tool_name(operation.id, operation.method, operation.path, taken)
        taken.add(own)
        names.append(own)
    return names


def _name_from(description: Description) -> str:
    return plain(_NOT_NAMES.sub("-", (description.title or "").lower())) or "openapi"


def _servers(description: Description, client: httpx2.AsyncClient | None, options: OpenAPIOptions) -> Servers:
    given = options.get("server_url")
    if not given and client is not None and str(client.base_url):
        given = str(client.base_url)
    return read_servers(given, description.servers, description.documents.uri, options.get("server_variables", {}))


def _checked_client(client: Any) -> httpx2.AsyncClient | None:
    if client is not None and not isinstance(client, httpx2.AsyncClient):
        raise TypeError(
            f"client is an httpx2.AsyncClient, and not {type(client).__module__}.{type(client).__qualname__}; "
            "httpx2 takes the same arguments"
        )
    return client


def _checked_headers(headers: Headers | GiveHeaders) -> Headers | GiveHeaders:
    if callable(headers):
        return headers
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            # The value is a secret, perhaps.
            raise ValueError(f"headers has {name!r}, whose name or value cannot be sent")
    return dict(headers)


def _lifespan(
    api: API, own: Callable[[Server], AbstractAsyncContextManager[Mapping[str, Any] | None]] | None
) -> Callable[[Server], AbstractAsyncContextManager[Mapping[str, Any] | None]]:
    @asynccontextmanager
    async def connected(server: Server) -> AsyncIterator[Mapping[str, Any] | None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(api.opened())
            yield None if own is None else await stack.enter_async_context(own(server))

    return connected
