"""Resources and resource templates: what a user declares, and what the server reads (MCP server/resources)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final

from pydantic import BaseModel

from gatepost.server.calls.context import Context
from gatepost.server.declared.completion import Completer, RegisteredCompleter, completers_of
from gatepost.server.declared.declarations import documentation_of, own_name_of, scopes_of
from gatepost.server.declared.invocation import Invocation
from gatepost.server.declared.metadata import Annotations, Icon, icons_of, resource_annotations_of
from gatepost.server.declared.results import json_text
from gatepost.server.declared.revisions import entry_in
from gatepost.server.declared.signature import Signature, describe_function, read_signature
from gatepost.server.declared.text_arguments import text_arguments
from gatepost.server.declared.uri_templates import UriError, UriTemplate, check_uri, parse_uri_template
from gatepost.server.errors import ResourceNotFound, ToolDefinitionError

_CONTENT_TYPES: Final = ("TextResourceContents", "BlobResourceContents")


@dataclass(frozen=True, slots=True)
class Resource:
    """A function that reads a resource, or every resource of a template, and how it is offered."""

    func: Callable[..., Any]
    uri: str
    """Such as `notes://today`; or a template with `{name}` for one path segment and `{+path}` for several, each a
    parameter of the function."""
    _: KW_ONLY
    name: str | None = None
    """The function's name when not given."""
    title: str | None = None
    """For people."""
    description: str | None = None
    """For models; the docstring up to its `Args:` when not given."""
    mime_type: str | None = None
    """What is returned; when not given, texts are `text/plain`, bytes `application/octet-stream`, and other values
    are written as `application/json`."""
    size: int | None = None
    """In bytes, where it is known beforehand; not for templates."""
    scopes: Iterable[str] = ()
    """All of them are needed to see and to read it."""
    annotations: Annotations | Mapping[str, Any] | BaseModel | None = None
    """Hints in the words of the wire (`audience`), or `mcp_types.Annotations`."""
    icons: Sequence[Icon | Mapping[str, Any] | BaseModel] = ()
    completions: Mapping[str, Completer] | None = None
    """What completes the template's parameters, by name."""
    fresh_for: int = 0
    """How many seconds its caller may take what was read for fresh (2026-07-28, server/utilities/caching)."""


class RegisteredResource:
    """A resource or template, ready to be listed and read.

    Args:
        resource: What the user declared.

    Raises:
        ToolDefinitionError: The function cannot become one; the message names it and what to change.
    """

    __slots__ = (
        "_arguments",
        "_invocation",
        "_mime_type",
        "completers",
        "definition",
        "freshness",
        "name",
        "scopes",
        "template",
        "uri",
    )

    uri: str
    """The URI, or the template's text."""
    template: UriTemplate | None
    name: str
    scopes: frozenset[str]
    """All of them are needed to see and to read it."""
    definition: dict[str, Any]
    """It as the newest revision lists it. Shared: copy before you change it."""
    completers: Mapping[str, RegisteredCompleter]
    """What completes its parameters."""
    freshness: int
    """In milliseconds."""

    def __init__(self, resource: Resource) -> None:
        check_has_uri(resource, Resource)
        label = describe_function(resource.func)
        signature = read_signature(resource.func)
        self.uri = resource.uri
        self.template = _template_of(resource, signature)
        self.name = resource.name or own_name_of(resource.func) or ""
        if not self.name:
            raise ToolDefinitionError(f"{label}: it has no name of its own; give it one with name=")
        self.scopes = scopes_of(resource.scopes, label)
        self.freshness = resource.fresh_for * 1000
        if self.freshness < 0 or (resource.size is not None and resource.size < 0):
            raise ToolDefinitionError(f"{label}: fresh_for and size are not negative")
        self._mime_type = resource.mime_type
        self._invocation = Invocation.of(resource.func, signature)
        documentation = documentation_of(resource.func)
        self._arguments = text_arguments(resource.uri, signature)
        self.completers = completers_of(resource.completions or {}, self._arguments, label)
        members = {
            "uri" if self.template is None else "uriTemplate": resource.uri,
            "name": self.name,
            "title": resource.title,
            "description": documentation.description if resource.description is None else resource.description,
            "mimeType": resource.mime_type,
            "size": resource.size if self.template is None else None,
            "annotations": resource_annotations_of(resource.annotations, label),
            "icons": icons_of(resource.icons, label) or None,
        }
        self.definition = {member: value for member, value in members.items() if value is not None}

    def takes(self, name: str) -> bool:
        """Say whether it has an argument of this name."""
        return name in self._arguments.arguments

    def definition_for(self, revision: str) -> dict[str, Any]:
        """Return it as `revision` lists it. Shared: copy before you change it."""
        return entry_in(revision, self.definition)

    async def read(self, uri: str, texts: Mapping[str, str], context: Callable[[], Context]) -> dict[str, Any]:
        """Read it.

        Args:
            uri: What was asked for.
            texts: What the template's expressions stand for in it; nothing for a fixed URI.
            context: Builds the context, for a function that takes one.

        Returns:
            A `ReadResourceResult` as plain JSON values.

        Raises:
            InvalidArguments: A value does not fit its parameter; no code of the user ran.
            ResourceNotFound: The function says so, or returned None.
            InvalidResult: The function returned what cannot be sent.
            Exception: Whatever the function raised.
        """
        value = await self._invocation(self._arguments.parse(texts), context)
        if value is None:
            raise ResourceNotFound
        values = value if isinstance(value, (list, tuple)) else [value]
        return {"contents": [self._contents(uri, one) for one in values]}

    def _contents(self, uri: str, value: Any) -> dict[str, Any]:
        if isinstance(value, BaseModel) and type(value).__name__ in _CONTENT_TYPES:
            contents: dict[str, Any] = value.model_dump(mode="json", by_alias=True, exclude_none=True)
            json_text(contents)  # Whether it can be sent is known now, or it is known too late.
            return contents
        if isinstance(value, (bytes, bytearray, memoryview)):
            mime_type = self._mime_type or "application/octet-stream"
            return {"uri": uri, "mimeType": mime_type, "blob": b64encode(value).decode()}
        if isinstance(value, str):
            json_text(value)
            return {"uri": uri, "mimeType": self._mime_type or "text/plain", "text": value}
        return {"uri": uri, "mimeType": self._mime_type or "application/json", "text": json_text(value)}


def check_has_uri(given: object, kind: type) -> None:
    """Refuse a function that stands where a URI or a `Resource` is meant, which `kind` says.

    Raises:
        ToolDefinitionError: It says what to write.
    """
    if isinstance(given, kind):
        return
    label = describe_function(given) if callable(given) else repr(given)
    raise ToolDefinitionError(
        f'{label}: a resource needs a URI; write @server.resource("notes://today"), or Resource(function, "notes://today")'
    )


def _template_of(resource: Resource, signature: Signature) -> UriTemplate | None:
    """Parse the URI and hold it against the function's parameters."""
    label = signature.function
    try:
        template = parse_uri_template(resource.uri) if "{" in resource.uri or "}" in resource.uri else None
        if template is None:
            check_uri(resource.uri)
    except UriError as error:
        raise ToolDefinitionError(f"{label}: {error}") from None
    variables = frozenset() if template is None else template.names
    parameters = {parameter.name for parameter in signature.parameters}
    if missing := sorted(variables - parameters):
        raise ToolDefinitionError(f"{label}: {resource.uri!r} has {{{missing[0]}}}, which is no parameter of it")
    if missing := sorted(parameters - variables):
        raise ToolDefinitionError(f"{label}: parameter {missing[0]!r} is not in {resource.uri!r}")
    for parameter in signature.parameters:
        if template is not None and parameter.name in template.query and parameter.default is parameter.empty:
            raise ToolDefinitionError(
                f"{label}: parameter {parameter.name!r} needs a default: clients may leave out what is in {{?...}}"
            )
    return template
