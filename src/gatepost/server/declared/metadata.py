"""Annotations and icons in the words of the wire (MCP, schema, `ToolAnnotations`, `Annotations` and `Icon`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, NotRequired, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from gatepost.server.errors import ToolDefinitionError

T = TypeVar("T")


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


def annotations_of(given: Mapping[str, Any] | BaseModel | None, owner: str) -> ToolAnnotations | None:
    """Check annotations, given in wire words or as `mcp_types.ToolAnnotations`; None when there are none.

    Raises:
        ToolDefinitionError: Naming `owner`.
    """
    if given is None:
        return None
    return _checked(ToolAnnotations, given, f"{owner}: annotations") or None


def resource_annotations_of(given: Mapping[str, Any] | BaseModel | None, owner: str) -> Annotations | None:
    """Check annotations of a resource, given in wire words or as `mcp_types.Annotations`; None when there are none.

    Raises:
        ToolDefinitionError: Naming `owner`.
    """
    if given is None:
        return None
    return _checked(Annotations, given, f"{owner}: annotations") or None


def icons_of(given: Iterable[Mapping[str, Any] | BaseModel], owner: str) -> list[Icon]:
    """Check icons, given in wire words or as `mcp_types.Icon`.

    Raises:
        ToolDefinitionError: Naming `owner`.
    """
    return [_checked(Icon, icon, f"{owner}: icons") for icon in given]


def _checked(kind: type[T], given: Mapping[str, Any] | BaseModel, what: str) -> T:
    wire = given.model_dump(mode="json", by_alias=True, exclude_none=True) if isinstance(given, BaseModel) else given
    try:
        return TypeAdapter(kind).validate_python(wire, strict=True)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False))
        raise ToolDefinitionError(f"{what} are not as the specification has them: {wrong}") from None
