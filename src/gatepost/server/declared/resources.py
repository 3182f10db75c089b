"""Resources and resource templates: what a user declares, and what the server reads (MCP server/resources)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Unpack

from pydantic import BaseModel

from gatepost.protocol.json_encoding import whole_text
from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange
from gatepost.server.declared.completion import CompletableDeclaration, CompletableOptions
from gatepost.server.declared.declaration import Annotations, MakeContext, annotations_of, invoke
from gatepost.server.declared.results import json_text, wire_json
from gatepost.server.declared.signature import Signature, describe_function
from gatepost.server.declared.uri_templates import UriError, UriTemplate, check_uri, normal_template
from gatepost.server.errors import ResourceNotFound, ToolDefinitionError

if TYPE_CHECKING:
    from gatepost.server.calls.around import Around

_CONTENT_TYPES: Final = ("TextResourceContents", "BlobResourceContents")


class ResourceOptions(CompletableOptions, total=False):
    """The options of `Server.resource` and `Resource`."""

    mime_type: str | None
    """What is returned; when not given, texts are `text/plain`, bytes `application/octet-stream`, and other values
    are written as `application/json`."""
    size: int | None
    """In bytes, where it is known beforehand; not for templates."""
    annotations: Annotations | Mapping[str, Any] | BaseModel | None
    """Hints in the words of the wire (`audience`), or `mcp_types.Annotations`."""
    fresh_for: int
    """How many seconds its caller may take what was read for fresh (2026-07-28, server/utilities/caching)."""


class Resource(CompletableDeclaration):
    """A function, async or not, that reads a resource or every resource of a template: ready to be listed and read.

    Args:
        func: The function.
        uri: Such as `notes://today`; or a template with `{name}` for one path segment and `{+path}` for several, each
            a parameter of the function.
        options: The keyword arguments of `ResourceOptions`.

    Raises:
        ToolDefinitionError: The function cannot become one; the message names it and what to change.
    """

    __slots__ = ("_mime_type", "freshness", "normal_uri", "template", "uri")

    kind = "resource"
    option_names = ResourceOptions.__optional_keys__

    uri: str
    """The URI, or the template's text."""
    normal_uri: str
    """It in the spelling that is compared."""
    template: UriTemplate | None
    freshness: int
    """In milliseconds."""

    def __init__(self, func: Callable[..., Any], uri: str, **options: Unpack[ResourceOptions]) -> None:
        super().__init__(func, options)
        label = self._signature.function
        self.uri = uri
        self.template = _template_of(uri, self._signature)
        self.normal_uri = normal_template(uri)
        self.freshness = options.get("fresh_for", 0) * 1000
        size = options.get("size")
        if self.freshness < 0 or (size is not None and size < 0):
            raise ToolDefinitionError(f"{label}: fresh_for and size are not negative")
        self._mime_type = options.get("mime_type")
        self._take_arguments(uri, options, spreads=False)
        own_members = {
            "uri" if self.template is None else "uriTemplate": uri,
            "mimeType": self._mime_type,
            "size": size if self.template is None else None,
            "annotations": annotations_of(Annotations, options.get("annotations"), label),
        }
        if self.template is not None and options.get("description") is None:
            own_members["description"] = self._description_with_parameters()
        self._define(options, own_members)

    def _description_with_parameters(self) -> str | None:
        """Return what the docstring says, that of the template's variables included: the wire has no place for them."""
        schemas = {name: argument.schema for name, argument in self._arguments.by_name.items()}
        said = [f"{name}: {schema['description']}" for name, schema in schemas.items() if "description" in schema]
        return "\n\n".join(filter(None, (self._signature.description, "\n".join(said)))) or None

    async def read(
        self,
        uri: str,
        texts: Mapping[str, str],
        exchange: Exchange,
        make_context: MakeContext = Context,
        around: Around | None = None,
    ) -> dict[str, Any]:
        """Read it: a `ReadResourceResult` as plain JSON values.

        Args:
            uri: What was asked for.
            texts: What the template's expressions stand for in it; nothing for a fixed URI.
            exchange: The request's.
            make_context: Builds the context of it, for a function that takes one.
            around: The hooks around it.

        Raises:
            InvalidArguments: A value does not fit its parameter; no code of the user ran.
            ResourceNotFound: The function says so, or returned None.
            InvalidResult: The function returned what cannot be sent.
            Exception: Whatever the function raised.
        """
        keywords = self._arguments.parse(texts)
        finish = partial(self._result, uri)
        return await invoke(self._signature, keywords, exchange, make_context, finish=finish, around=around)

    def _result(self, uri: str, value: Any) -> dict[str, Any]:
        if value is None:
            raise ResourceNotFound
        values = value if isinstance(value, (list, tuple)) else [value]
        return {"contents": [self._contents(uri, one) for one in values]}

    def _contents(self, uri: str, value: Any) -> dict[str, Any]:
        if isinstance(value, BaseModel) and type(value).__name__ in _CONTENT_TYPES:
            return wire_json(value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            mime_type = self._mime_type or "application/octet-stream"
            return {"uri": uri, "mimeType": mime_type, "blob": b64encode(value).decode()}
        if isinstance(value, str):
            return {"uri": uri, "mimeType": self._mime_type or "text/plain", "text": whole_text(value)}
        return {"uri": uri, "mimeType": self._mime_type or "application/json", "text": json_text(value)}


def check_has_uri(given: object, kind: type) -> None:
    """Raise ToolDefinitionError, with what to write, for a function where a URI or a `Resource` is meant: a `kind`."""
    if isinstance(given, kind):
        return
    label = describe_function(given) if callable(given) else repr(given)
    raise ToolDefinitionError(
        f'{label}: a resource needs a URI; write @server.resource("notes://today"), or Resource(function, "notes://today")'
    )


def _template_of(uri: str, signature: Signature) -> UriTemplate | None:
    """Parse the URI and hold it against the function's parameters."""
    label = signature.function
    try:
        template = UriTemplate(uri) if "{" in uri or "}" in uri else None
        if template is None:
            check_uri(uri)
    except UriError as error:
        raise ToolDefinitionError(f"{label}: {error}") from None
    variables = frozenset() if template is None else template.names
    parameters = {parameter.name for parameter in signature.parameters}
    if missing := sorted(variables - parameters):
        raise ToolDefinitionError(f"{label}: {uri!r} has {{{missing[0]}}}, which is no parameter of it")
    if missing := sorted(parameters - variables):
        raise ToolDefinitionError(f"{label}: parameter {missing[0]!r} is not in {uri!r}")
    for parameter in signature.parameters:
        if template is not None and parameter.name in template.query and parameter.default is parameter.empty:
            raise ToolDefinitionError(
                f"{label}: parameter {parameter.name!r} needs a default: clients may leave out what is in {{?...}}"
            )
    return template
