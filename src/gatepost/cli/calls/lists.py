"""Tools, prompts and resources of a server, for people: name, description, arguments in words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from gatepost.cli.terminal import printable

if TYPE_CHECKING:
    from mcp_types import Prompt, Resource, ResourceTemplate, Tool

_WIDTH: Final = 100
_KINDS: Final = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "object",
    "null": "null",
}


def tool_lines(tool: Tool) -> Iterator[str]:
    """Yield the lines about a tool."""
    yield printable(tool.name)
    yield from _described(tool.description or tool.title)
    schema = tool.input_schema
    needed = schema.get("required") or ()
    for name, wanted in (schema.get("properties") or {}).items():
        words = wanted if isinstance(wanted, Mapping) else {}
        said = [kind_of(words, schema), "" if name in needed else _optional(words)]
        about = words.get("description")
        yield from _argument(name, ", ".join(filter(None, said)), about)


def prompt_lines(prompt: Prompt) -> Iterator[str]:
    """Yield the lines about a prompt."""
    yield printable(prompt.name)
    yield from _described(prompt.description or prompt.title)
    for argument in prompt.arguments or ():
        yield from _argument(argument.name, "text" if argument.required else "text, optional", argument.description)


def resource_lines(resource: Resource | ResourceTemplate) -> Iterator[str]:
    """Yield the lines about a resource or a template."""
    uri = getattr(resource, "uri", None) or getattr(resource, "uri_template", "")
    kind = "" if resource.mime_type is None else f"  ({printable(resource.mime_type)})"
    yield f"{printable(str(uri))}{kind}"
    yield from _described(resource.description or resource.title or resource.name)


def kind_of(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    """Return in words what a schema takes, as far as that is simple."""
    reference = schema.get("$ref")
    if isinstance(reference, str):
        named = (whole.get("$defs") or {}).get(reference.rpartition("/")[2])
        return kind_of(named, {}) if isinstance(named, Mapping) else "object"
    if isinstance(schema.get("enum"), list):
        return "one of " + ", ".join(printable(str(value)) for value in schema["enum"])
    if "const" in schema:
        return printable(str(schema["const"]))
    several = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(several, list):
        kinds = dict.fromkeys(kind_of(each, whole) for each in several if isinstance(each, Mapping))
        return " or ".join(kind for kind in kinds if kind != "null") or "null"
    kind = schema.get("type")
    if kind == "array" and isinstance(schema.get("items"), Mapping):
        return f"list of {kind_of(schema['items'], whole)}"
    named = kind if isinstance(kind, list) else [kind] if kind is not None else []
    return " or ".join(_KINDS.get(str(each), printable(str(each))) for each in named) or "anything"


def _optional(schema: Mapping[str, Any]) -> str:
    default = schema.get("default")
    return "optional" if default is None else f"{printable(str(default))} if left out"


def _described(text: str | None) -> Iterator[str]:
    for paragraph in printable(text or "", lines=True).strip().splitlines():
        yield from textwrap.wrap(paragraph, _WIDTH, initial_indent="    ", subsequent_indent="    ") or [""]


def _argument(name: str, kind: str, about: object) -> Iterator[str]:
    more = f": {printable(about, lines=True)}" if isinstance(about, str) and about else ""
    head = f"- {printable(name)} ({kind}){more}"
    yield from textwrap.wrap(" ".join(head.split()), _WIDTH, initial_indent="    ", subsequent_indent="      ")
