"""Lenient reading of arguments: what clients send in another form than a schema has, where it can mean one thing only.

Nothing that a schema admits is read otherwise: what is looked at here was refused where it stands
(docs/decisions/0044).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from pydantic_core import ErrorDetails

from gatepost.protocol import strict_json
from gatepost.protocol.errors import ProtocolError

_ARRAYS: Final = ("list_type", "tuple_type", "set_type", "frozen_set_type")
_OBJECTS: Final = ("dict_type", "model_type", "model_attributes_type", "dataclass_type")
_CHOICES: Final = ("literal_error", "enum")
_READ_FROM_TEXT: Final[Mapping[str, frozenset[str]]] = {
    "int_type": frozenset({"integer", "null"}),
    "float_type": frozenset({"integer", "number", "null"}),
    "bool_type": frozenset({"boolean", "null"}),
    **dict.fromkeys(_ARRAYS, frozenset({"array", "null"})),
    **dict.fromkeys(_OBJECTS, frozenset({"object", "null"})),
    **dict.fromkeys(_CHOICES, frozenset({"integer", "number", "boolean", "null"})),
}
"""By what is wrong with a text where it stands, of which JSON types may be what it is the JSON of."""

_JSON_TYPES: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
_PYTHONS_SPELLING: Final = {"True": True, "False": False}

_MARK_OF_N8N: Final = "toolCallId"
_ADDED_BY_N8N: Final = frozenset({"sessionId", "action", "chatInput", _MARK_OF_N8N})
"""What n8n 1.119 to 1.122 adds to the arguments of every call (n8n-io/n8n issue 21716)."""
_UNKNOWN: Final = frozenset({"extra_forbidden", "unexpected_keyword_argument"})

_NOWHERE: Final = object()


def json_type(value: object) -> str:
    """Return the JSON type of a JSON value, an integer being one only if it is written without a fraction."""
    return _JSON_TYPES[type(value)]


def from_json_text(text: str) -> Any:
    """Return the value that `text` is the JSON of, or `text` itself where it is none or not strict JSON."""
    try:
        return strict_json.load(text.encode())
    except (ProtocolError, UnicodeEncodeError):
        return text


def read_leniently(
    arguments: Mapping[str, Any], errors: Iterable[ErrorDetails], unknown: Collection[str], schema: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return the arguments with what was refused read otherwise; None if nothing of it can be.

    Whether they fit now is for validation to say, which is as strict as before.

    Args:
        arguments: As they were sent, or as an earlier reading left them. They stay as they are.
        errors: What strict validation found.
        unknown: Names that the tool does not take, where validation itself lets them pass.
        schema: The tool's input schema.
    """
    root = dict(arguments)
    copies: dict[tuple[Any, ...], Any] = {(): root}
    unknown = {*unknown, *(str(error["loc"][0]) for error in errors if error["type"] in _UNKNOWN)}
    added = unknown & _ADDED_BY_N8N if _MARK_OF_N8N in unknown else frozenset()
    for name in added:
        root.pop(name, None)
    is_changed = bool(added)
    for error in errors:
        path = error["loc"]
        value = _value_at(arguments, path)
        if value is None and _may_be_left_out(schema, path):
            _copy_at(copies, path[:-1]).pop(path[-1], None)
        elif type(value) is str and (read := _read(value, error["type"])) is not value:
            _copy_at(copies, path[:-1])[path[-1]] = read
        else:
            continue
        is_changed = True
    return root if is_changed else None


def _read(text: str, error: str) -> Any:
    """Return what a text stands for where it was refused for this reason, or the text itself."""
    value = _PYTHONS_SPELLING.get(text) if error == "bool_type" else None
    if value is None:
        value = from_json_text(text)
    # A whole number is an integer however it is written (JSON Schema core, section 4.2.3).
    kind = "integer" if type(value) is float and value.is_integer() else json_type(value)
    return value if kind in _READ_FROM_TEXT.get(error, ()) else text


def _value_at(value: Any, path: tuple[int | str, ...]) -> Any:
    """Return what stands at a path; `_NOWHERE` for one that leads through the label of a union's branch."""
    for step in path:
        if type(value) is dict:
            value = value.get(step, _NOWHERE)
        elif type(value) is list and type(step) is int and step < len(value):
            value = value[step]
        else:
            return _NOWHERE
    return value if path else _NOWHERE


def _copy_at(copies: dict[tuple[Any, ...], Any], path: tuple[int | str, ...]) -> Any:
    """Return the copy of the container at a path, each of which is made once."""
    if path not in copies:
        parent = _copy_at(copies, path[:-1])
        parent[path[-1]] = copies[path] = parent[path[-1]].copy()
    return copies[path]


def _may_be_left_out(schema: Mapping[str, Any], path: tuple[int | str, ...]) -> bool:
    """Say whether a path leads to a property that is not required."""
    definitions = schema.get("$defs", {})
    node: Any = schema
    for position, step in enumerate(path, start=1):
        node = _resolved(node, definitions)
        properties = node.get("properties", {})
        if position == len(path):
            return step in properties and step not in node.get("required", ())
        node = node.get("items", {}) if type(step) is int else properties.get(step, node.get("additionalProperties"))
    return False


def _resolved(node: Any, definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema that a reference names, and of one that may be null the other; empty for any other union."""
    while isinstance(node, dict) and ("$ref" in node or "anyOf" in node):
        if "$ref" in node:
            node = definitions.get(node["$ref"].removeprefix("#/$defs/"))
        else:
            branches = [branch for branch in node["anyOf"] if branch != {"type": "null"}]
            node = branches[0] if len(branches) == 1 else None
    return node if isinstance(node, dict) else {}
