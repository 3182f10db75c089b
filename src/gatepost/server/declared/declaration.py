"""Declarations: what tools, resources and prompts have in common. Options, scopes, annotations and icons.

Annotations and icons are in the words of the wire (MCP, schema, `ToolAnnotations`, `Annotations` and `Icon`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal, NotRequired, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from gatepost.server.declared.revisions import definition_in
from gatepost.server.declared.signature import own_name_of, read_signature
from gatepost.server.errors import ToolDefinitionError

T = TypeVar("T")

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
    """For models; the docstring up to its `Args:` when not given."""
    scopes: Iterable[str]
    """All of them are needed to see and to use it."""
    icons: Sequence[Icon | Mapping[str, Any] | BaseModel]
    """In the words of the wire, or as `mcp_types.Icon`."""


class Declaration:
    """A function that clients are offered, with its options: `Options`, and those of its kind.

    Raises ToolDefinitionError if it cannot be; the message names the function and what to change.
    """

    __slots__ = ("_signature", "definition", "func", "name", "scopes")

    kind: ClassVar[str]
    option_names: ClassVar[frozenset[str]]

    name: str
    scopes: frozenset[str]
    """All of them are needed to see and to use it."""
    definition: dict[str, Any]
    """It as the newest revision lists it. Shared: copy before you change it."""

    def __init__(self, func: Callable[..., Any], options: Options) -> None:
        self.func = func
        self._signature = read_signature(func)
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
        self.scopes = _scopes_of(options.get("scopes", ()), label)

    def _define(self, options: Options, docstring: str | None, own_members: Mapping[str, Any]) -> None:
        """Set `definition`; what is None is left out."""
        description = options.get("description")
        members = {
            "name": self.name,
            "title": options.get("title"),
            "description": docstring if description is None else description,
            **own_members,
            "icons": icons_of(options.get("icons", ()), self._signature.function) or None,
        }
        self.definition = {member: value for member, value in members.items() if value is not None}

    def definition_for(self, revision: str) -> dict[str, Any]:
        """Return it as `revision` (`2025-11-25`) lists it. Shared: copy before you change it."""
        return definition_in(revision, self.definition)


def _scopes_of(given: Iterable[str], owner: str) -> frozenset[str]:
    if isinstance(given, str):
        raise ToolDefinitionError(f"{owner}: scopes takes a list; write scopes=[{given!r}]")
    scopes = frozenset(given)
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
