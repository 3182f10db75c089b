"""The forms that elicitation can show: flat objects of texts, numbers, booleans and choices.

MCP 2026-07-28 client/elicitation, "Requested Schema". Derived from a Pydantic model, or given as a schema.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from gatepost.server.json_schema import is_of_our_dialect

_SHARED: Final = frozenset({"type", "title", "description", "default"})
_KEYWORDS: Final[Mapping[str, frozenset[str]]] = {
    "string": _SHARED | {"minLength", "maxLength", "format", "enum", "oneOf", "enumNames"},
    "number": _SHARED | {"minimum", "maximum"},
    "integer": _SHARED | {"minimum", "maximum"},
    "boolean": _SHARED,
    "array": _SHARED | {"minItems", "maxItems", "items"},
}
_FORMATS: Final = frozenset({"email", "uri", "date", "date-time"})


class UnsupportedForm(TypeError):
    """A form that no client could show; the message names the field and what it may be."""


@functools.lru_cache(maxsize=256)
def form_of_model(model: type[BaseModel]) -> dict[str, Any]:
    """Return the form of a Pydantic model. Shared: copy before you change it.

    What the form's language lacks, such as a pattern, is left out; the model still holds the answer to it. Raises
    UnsupportedForm: a field is something else than a text, a number, a boolean, a choice or several choices, or it asks
    for a secret.
    """
    schema = model.model_json_schema(mode="validation")
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    if "properties" not in schema and schema.get("type") != "object":
        raise UnsupportedForm(f"{model.__name__}: a form is a model with fields")
    properties: dict[str, Any] = {}
    for name, found in schema.get("properties", {}).items():
        properties[name] = _field(f"{model.__name__}.{name}", _plain(found, definitions))
    form: dict[str, Any] = {"type": "object", "properties": properties}
    if "required" in schema:
        form["required"] = schema["required"]
    return form


def check_form(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema that was written by hand, once it is one that clients can show.

    Raises UnsupportedForm: it is not.
    """
    properties = schema.get("properties")
    if schema.get("type") != "object" or not isinstance(properties, Mapping):
        raise UnsupportedForm('a form is {"type": "object", "properties": {...}}')
    if not is_of_our_dialect(schema):
        raise UnsupportedForm("a form is JSON Schema 2020-12; its $schema says another dialect")
    for name, field in properties.items():
        if not isinstance(field, Mapping) or set(field) != set(_field(name, field)):
            raise UnsupportedForm(f"{name}: it has a keyword that forms do not know")
    return dict(schema)


def problems(form: Mapping[str, Any], content: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with an answer to a form: each field with what it takes, never the value.

    Fields that the form does not have are let pass.
    """
    for name in form.get("required", ()):
        if name not in content:
            yield f"{name}: is required"
    for name, field in form["properties"].items():
        if name in content and not _fits(field, content[name]):
            yield f"{name}: is not what the form asks for"


def _plain(found: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return a field's schema with its definition put in place, and without `null` as an alternative.

    A field that may be null is one that may be left out, and no form says null.
    """
    merged = dict(found)
    reference = merged.pop("$ref", None)
    if reference is not None:
        merged = {**definitions[reference.removeprefix("#/$defs/")], **merged}
    alternatives = [option for option in merged.get("anyOf", ()) if option.get("type") != "null"]
    if len(alternatives) == 1:
        del merged["anyOf"]
        merged = {**_plain(alternatives[0], definitions), **merged}
    if merged.get("default", ...) is None:
        del merged["default"]
    if "const" in merged:
        merged["enum"] = [merged.pop("const")]
    if isinstance(merged.get("items"), Mapping):
        merged["items"] = {key: value for key, value in _plain(merged["items"], definitions).items() if key != "title"}
    return merged


def _field(label: str, field: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(field.get("type"))
    # What Pydantic's SecretStr becomes. Clients get to see a form's answer (client/elicitation, "Form Mode Security").
    if field.get("format") == "password" or field.get("writeOnly") is True:
        raise UnsupportedForm(f"{label}: a form does not ask for secrets; send the user to a page with elicit_url")
    if kind not in _KEYWORDS or (kind == "array" and not _is_choice_of_many(field.get("items"))):
        raise UnsupportedForm(
            f"{label}: a form's field is a str, int, float or bool, a Literal or Enum of texts, or a list of those"
        )
    known = {keyword: value for keyword, value in field.items() if keyword in _KEYWORDS[kind]}
    if known.get("format", "email") not in _FORMATS:
        del known["format"]
    return known


def _is_choice_of_many(items: Any) -> bool:
    if not isinstance(items, Mapping):
        return False
    return items.keys() == {"anyOf"} or (items.keys() == {"type", "enum"} and items["type"] == "string")


def _fits(field: Mapping[str, Any], value: Any) -> bool:
    choices = _choices(field)
    match field["type"]:
        case "string" if choices is not None:
            return type(value) is str and value in choices
        case "string":
            return type(value) is str and field.get("minLength", 0) <= len(value) <= field.get("maxLength", math.inf)
        case "boolean":
            return type(value) is bool
        case "array":
            several = _choices(field["items"]) or ()
            is_choice = type(value) is list and all(item in several for item in value)
            return is_choice and field.get("minItems", 0) <= len(value) <= field.get("maxItems", math.inf)
        case kind:
            if type(value) not in (int, float) or (kind == "integer" and value % 1 != 0):
                return False
            return bool(field.get("minimum", -math.inf) <= value <= field.get("maximum", math.inf))


def _choices(field: Mapping[str, Any]) -> list[Any] | None:
    """Return the values that a choice takes; None when the field is no choice."""
    if "enum" in field:
        return list(field["enum"])
    titled = field.get("oneOf", field.get("anyOf"))
    return None if titled is None else [choice["const"] for choice in titled]
