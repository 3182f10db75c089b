"""Declarations: what tools, resources and prompts have in common. Options, scopes, annotations, icons, invocation.

Annotations and icons are in the words of the wire (MCP, schema, `ToolAnnotations`, `Annotations` and `Icon`).
"""

from __future__ import annotations

import copy
import functools
import inspect
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, NotRequired, Protocol, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from gatepost.late_dataclass import dataclass
from gatepost.protocol.json_encoding import whole_text
from gatepost.resource.scope_needs import ScopeNeeds, all_of
from gatepost.server.calls.callers import ANONYMOUS
from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange
from gatepost.server.calls.worker_threads import run_in_thread
from gatepost.server.declared.arguments_object import with_plain_inputs
from gatepost.server.declared.revisions import definition_in
from gatepost.server.declared.signature import Signature, own_name_of, read_signature
from gatepost.server.errors import InvalidResult, ToolDefinitionError, ToolError
from gatepost.telemetry.request_ids import incident_id
from gatepost.tokens.opaque import RandomBytes

if TYPE_CHECKING:
    from gatepost.server.calls.around import Around, Hook

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

MakeContext = Callable[[Exchange], Context]
"""Builds the context of a call; called for functions that take one."""

_log: Final = logging.getLogger("gatepost.server")
_tools_log: Final = logging.getLogger("gatepost.tools")

_SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")  # RFC 6749 section 3.3


@with_config(ConfigDict(extra="forbid"))
class ToolAnnotations(TypedDict, total=False):
    """Hints about what a tool does. Clients may trust them or not."""

    title: str
    readOnlyHint: bool
    """It changes nothing. Default: False."""
    destructiveHint: bool
    """What it changes may be lost. Default: True."""
    idempotentHint: bool
    """Calling it again with the same arguments changes nothing more. Default: False."""
    openWorldHint: bool
    """It deals with things outside of the server. Default: True."""


@with_config(ConfigDict(extra="forbid"))
class Annotations(TypedDict, total=False):
    """Hints about who a resource is for."""

    audience: list[Literal["user", "assistant"]]
    priority: Annotated[float, Field(ge=0, le=1)]
    """1 is needed, 0 may be left out."""
    lastModified: str
    """An ISO 8601 time, such as `2026-01-31T12:00:00Z`."""


@with_config(ConfigDict(extra="forbid"))
class Icon(TypedDict):
    """A picture that a client may show."""

    src: str
    """An https or data URL."""
    mimeType: NotRequired[str]
    sizes: NotRequired[list[str]]
    """Such as `48x48`, or `any`."""
    theme: NotRequired[Literal["light", "dark"]]


class Options(TypedDict, total=False):
    """The keyword arguments that every declaration takes (PEP 692); each kind has further ones."""

    name: str | None
    """The function's name when not given."""
    title: str | None
    """For people."""
    description: str | None
    """For models; the docstring without its parameters and results when not given."""
    scopes: Iterable[str | ScopeNeeds]
    """All of them are needed to see and to use it; `any_of("admin", "editor")`, alone or among them, means one."""
    icons: Sequence[Icon | Mapping[str, Any] | BaseModel]
    """In the words of the wire, or as `mcp_types.Icon`."""


class OriginServer(Protocol):
    """What is asked of the server that a declaration comes from: its registry."""

    hooks: tuple[Hook, ...]

    @property
    def state(self) -> Mapping[str, Any]:
        """What its lifespan yielded."""
        ...


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a declaration comes from that a server includes."""

    server: OriginServer
    declaration: Declaration
    """It as it is there."""

    @property
    def state(self) -> Mapping[str, Any]:
        """What the lifespan yielded of the server on which it was declared."""
        further = self.declaration.origin
        return self.server.state if further is None else further.state

    def hooks(self, uri: str | None) -> Iterator[tuple[Hook, str]]:
        """Yield the hooks of the servers that it comes through, the outermost first, each with its name to it.

        That is `uri` for a resource.
        """
        name = uri or self.declaration.name
        yield from ((hook, name) for hook in self.server.hooks)
        if self.declaration.origin is not None:
            yield from self.declaration.origin.hooks(uri)


class Declaration:
    """A function that clients are offered, with its options: `Options`, and those of its kind.

    Raises ToolDefinitionError if it cannot be; the message names the function and what to change.
    """

    __slots__ = ("_signature", "definition", "func", "name", "origin", "scopes")

    kind: ClassVar[str]
    option_names: ClassVar[frozenset[str]]

    name: str
    scopes: frozenset[str]
    """What is needed to see and to use it; perhaps a `ScopeNeeds`."""
    definition: dict[str, Any]
    """It as the newest revision lists it. Shared: copy before you change it."""
    origin: Origin | None
    """Where it comes from; None where it was declared."""

    def __init__(self, func: Callable[..., Any], options: Options) -> None:
        self.func = func
        self.origin = None
        self._signature = with_plain_inputs(read_signature(func))
        label = self._signature.function
        for option in options.keys() - self.option_names:
            raise ToolDefinitionError(
                f"{label}: a {self.kind} has no option {option!r}; there are {', '.join(sorted(self.option_names))}"
            )
        given = options.get("name")
        name = own_name_of(func) if given is None else given
        if name is None:
            raise ToolDefinitionError(f"{label}: it has no name of its own; give it one with name=")
        self.name = name
        self.scopes = scopes_of(options.get("scopes", ()), label)

    def _define(self, options: Options, own_members: Mapping[str, Any]) -> None:
        """Set `definition`; what is None is left out."""
        description = options.get("description")
        members = {
            "name": self.name,
            "title": options.get("title"),
            "description": self._signature.description if description is None else description,
            **own_members,
            "icons": icons_of(options.get("icons", ()), self._signature.function) or None,
        }
        self.definition = {member: value for member, value in members.items() if value is not None}

    @property
    def title(self) -> str:
        """How people call it: what its author says, or else its name in words."""
        given: str | None = self.definition.get("title") or self.definition.get("annotations", {}).get("title")
        return given or self.name.replace("_", " ").title()

    @property
    def description(self) -> str | None:
        """What models are told of it."""
        description: str | None = self.definition.get("description")
        return description

    def included(self, name: str, origin: Origin) -> Self:
        """Return it as a server has it that includes the one it comes from."""
        twin = copy.copy(self)
        twin.origin = origin
        twin.take_name(name)
        return twin

    def take_name(self, name: str) -> None:
        """Be called otherwise; for a copy."""
        self.name = name
        self.definition = {**self.definition, "name": name}

    def definition_for(self, revision: str) -> dict[str, Any]:
        """Return it as `revision` (`2025-11-25`) lists it. Shared: copy before you change it."""
        return definition_in(revision, self.definition)


def scopes_of(given: Iterable[str | ScopeNeeds], owner: str) -> frozenset[str]:
    """Return checked scopes as what they mean together; errors name `owner`."""
    if isinstance(given, str):
        raise ToolDefinitionError(f"{owner}: scopes takes a list; write scopes=[{given!r}]")
    scopes = given if isinstance(given, ScopeNeeds) else all_of(*given)
    for scope in scopes:
        if not _SCOPE.fullmatch(scope):
            raise ToolDefinitionError(
                f"{owner}: {scope!r} is no scope, which has printable ASCII characters but no space, quote or backslash"
            )
    return scopes


def annotations_of(kind: type[T], given: Mapping[str, Any] | BaseModel | None, owner: str) -> T | None:
    """Check annotations, given in the words of the wire or as a model of `mcp_types`; errors name `owner`."""
    return None if given is None else _checked(kind, given, f"{owner}: annotations") or None


def icons_of(given: Iterable[Mapping[str, Any] | BaseModel], owner: str) -> list[Icon]:
    """Check icons, given in the words of the wire or as `mcp_types.Icon`; errors name `owner`."""
    return [_checked(Icon, icon, f"{owner}: icons") for icon in given]


def _checked(kind: type[T], given: Mapping[str, Any] | BaseModel, what: str) -> T:
    wire = given.model_dump(mode="json", by_alias=True, exclude_none=True) if isinstance(given, BaseModel) else given
    try:
        return TypeAdapter(kind).validate_python(wire, strict=True)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False))
        raise ToolDefinitionError(f"{what} are not as the specification has them: {wrong}") from None


async def invoke(
    signature: Signature,
    keywords: Mapping[str, Any],
    exchange: Exchange,
    make_context: MakeContext,
    *,
    finish: Callable[[Any], T],
    on_late_failure: Callable[[BaseException], object] | None = None,
    around: Around | None = None,
) -> T:
    """Call a function, with what is `around` it, and return what `finish` makes of what it returned.

    Its dependencies are got when it is called itself, and closed after `finish`.

    An async one is called here and a sync one in a worker thread, with the caller's context variables. What a sync one
    raises after its request was cancelled is for `on_late_failure`; it is logged where that is None.
    """
    given = dict(keywords)
    late_failure = on_late_failure or functools.partial(log_late_failure, signature.function, exchange)
    if around is None and not signature.dependencies:
        if signature.context_parameter is not None:
            given[signature.context_parameter] = make_context(exchange)
        if signature.is_async:
            return finish(await signature.func(**given))
        return finish(await _in_thread(functools.partial(signature.func, **given), late_failure))
    from gatepost.server.declared.resolution import with_dependencies  # noqa: PLC0415 - most functions have none

    context = functools.cache(functools.partial(make_context, exchange))

    async def use(values_of: Callable[[], Awaitable[dict[str, Any]]]) -> T:
        async def innermost() -> Any:
            call = functools.partial(signature.func, **(given | await values_of()))
            return await (call() if signature.is_async else _in_thread(call, late_failure))

        return finish(await (innermost() if around is None else around.run(given, context(), innermost)))

    return await with_dependencies(signature, context, use, lambda what, error: log_late_failure(what, exchange, error))


async def _in_thread(call: Callable[[], Any], on_late_failure: Callable[[BaseException], object]) -> Any:
    value = await run_in_thread(call, on_late_failure)
    # A sync function that hands out a coroutine, as decorators do.
    return await value if inspect.isawaitable(value) else value


def log_late_failure(what: str, exchange: Exchange, error: BaseException, *, tool: str | None = None) -> None:
    """Log what a plain function raised when its request had been cancelled already: nobody else will know."""
    # Its own words are an answer, and not a fault.
    level, trace = (logging.INFO, None) if isinstance(error, ToolError) else (logging.ERROR, error)
    logger, marks = _marked(exchange, tool)
    text = "%s failed for %s after the request was cancelled"
    logger.log(level, text, what, marks["subject"], exc_info=trace, extra=marks)


def failure_text(
    what: str, error: BaseException, exchange: Exchange, random_bytes: RandomBytes, *, tool: str | None = None
) -> str:
    """Return what the client hears of a function that raised: its own words, or an incident id that the log explains.

    `what` failed, such as `prompt review`, is said in the log: it comes from the server's author, not from a client.
    """
    if isinstance(error, ToolError):
        # A surrogate, from the name of a file for instance, must not make a second error of the first.
        return whole_text(str(error))
    if isinstance(error, InvalidResult):
        # A mistake of the author's, who finds the sentence in the log; it holds no value, so the client hears it too.
        logger, marks = _marked(exchange, tool)
        logger.error("%s: %s", what, error, extra=marks)
        return f"The result cannot be sent: {error}"
    incident = incident_id(random_bytes)
    logger, marks = _marked(exchange, tool)
    text = "%s failed for %s, incident %s"
    logger.error(text, what, marks["subject"], incident, exc_info=error, extra={"incident": incident, **marks})
    return f"The {'server failed at this' if tool is None else 'tool failed'}. Incident {incident}."


def _marked(exchange: Exchange, tool: str | None) -> tuple[logging.Logger, dict[str, str]]:
    """Return the logger, and the members of the record that say whose call it was."""
    subject = ANONYMOUS if exchange.principal is None else exchange.principal.subject
    return (_log, {"subject": subject}) if tool is None else (_tools_log, {"tool": tool, "subject": subject})


def decorator(add: Callable[[Callable[..., Any]], object]) -> Callable[[F], F]:
    """Return a decorator that adds what it is put on, and returns it unchanged."""

    def register(decorated: F) -> F:
        add(decorated)
        return decorated

    return register
