"""JSON Schema (2020-12) and validators, derived once from declared types."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import PydanticUserError, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from pydantic_core import CoreSchema, SchemaError, SchemaValidator

from gatepost.protocol.header_values import subschemas
from gatepost.server.errors import ToolDefinitionError

_NOT_DESCRIBABLE: Final = (PydanticUserError, SchemaError, TypeError, NameError, KeyError)
"""What Pydantic raises for a type it has no schema for; the last three for constraints, names and a `$ref` of the
author's own that do not fit."""

_UNKNOWN_CLASS: Final = re.compile(
    r"Unable to generate pydantic-core schema for (<class '.*?'>)\. Set `arbitrary_types"
)
"""Its further advice makes a schema of nothing."""

_COLLECTIONS: Final = frozenset({"list", "dict", "set", "frozenset", "tuple"})
_PLAIN: Final = frozenset(
    {"any", "arguments", "bool", "call", "default", "definition-ref", "definitions", "dict", "float", "int", "list"}
    | {"model", "model-field", "model-fields", "none", "nullable", "str", "union"}
)
_NOT_SCHEMA: Final = frozenset({"config", "default", "expected", "metadata", "serialization"})
"""Keys of a core schema whose values are not core schemas."""


DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
"""The one dialect that is published and understood (2026-07-28 basic/index, "Schema Dialect")."""

_REFERENCES: Final = ("$ref", "$dynamicRef")


class _SchemaGenerator(GenerateJsonSchema):
    """Leaves out titles that repeat the field's name, which models would read at a cost and for nothing."""

    # A default that JSON cannot express is left out; the function still uses it.
    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 (as the base declares it)

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 (the base's signature)
        return False


def describe(
    declared: Any, mode: JsonSchemaMode, function: str, what: str, *, shown: Any = None
) -> tuple[TypeAdapter[Any], dict[str, Any]]:
    """Return Pydantic's adapter for a type, and the type's JSON Schema with all definitions inside it.

    A type that has none raises ToolDefinitionError. Its message names the function, what of the function the type is,
    and the type as the user wrote it, if `shown`.
    """
    try:
        adapter = TypeAdapter(declared)
        schema = adapter.json_schema(mode=mode, schema_generator=_SchemaGenerator)
    except _NOT_DESCRIBABLE as error:
        reason = _reason_of(error)
        of_type = "" if shown is None else f" of type {inspect.formatannotation(shown)}"
        raise ToolDefinitionError(
            f"{function}: {what}{of_type} cannot be described in JSON Schema ({reason})"
        ) from error
    for problem in _foreign_parts(schema):
        raise ToolDefinitionError(f"{function}: {what}: {problem}")
    return adapter, _unfolded(schema)


def _reason_of(error: Exception) -> str:
    """Return a line that says why there is no schema, and for a class of the author's own what to make it."""
    reason = str(error).strip().partition("\n")[0]
    unknown = _UNKNOWN_CLASS.match(reason)
    return reason if unknown is None else f"make {unknown[1]} a dataclass, a TypedDict or a Pydantic model"


def is_of_our_dialect(schema: Mapping[str, Any]) -> bool:
    """Say whether a schema is of JSON Schema 2020-12, which one that does not say is."""
    dialect = schema.get("$schema", DIALECT)
    return isinstance(dialect, str) and dialect.removesuffix("#") == DIALECT


def _foreign_parts(schema: Any) -> Iterator[str]:
    """Yield what an author added to a schema that clients could not read, or would have to fetch."""
    if isinstance(schema, dict):
        if not is_of_our_dialect(schema):
            yield "its $schema is another dialect than JSON Schema 2020-12, the only one that is supported"
        for keyword in _REFERENCES:
            if not str(schema.get(keyword, "#")).startswith("#"):
                yield f"its {keyword} leads out of the schema, and nothing is fetched"
    for _, inner in subschemas(schema):
        yield from _foreign_parts(inner)


def _unfolded(schema: dict[str, Any]) -> dict[str, Any]:
    """Put the definition that a recursive type's schema refers to where the schema itself is read."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    definitions = schema["$defs"]
    return {**definitions[reference.removeprefix("#/$defs/")], "$defs": definitions}


def validator_of(core_schema: CoreSchema) -> SchemaValidator:
    """Return a validator that stops at the first bad item of each collection.

    Otherwise one body of 4 MB, a list of two million numbers where texts are wanted, costs half a second and 700 MB for
    errors that nobody reads.
    """
    # Without the second argument a model inside would bring the validator it was built with.
    return SchemaValidator(_failing_fast(core_schema), _use_prebuilt=False)


def _failing_fast(schema: Any) -> Any:
    if isinstance(schema, dict):
        copied = {key: inner if key in _NOT_SCHEMA else _failing_fast(inner) for key, inner in schema.items()}
        # A field may be named "type" too; then the value is its schema.
        if isinstance(kind := copied.get("type"), str) and kind in _COLLECTIONS:
            copied["fail_fast"] = True
        return copied
    if isinstance(schema, (list, tuple)):
        return type(schema)(map(_failing_fast, schema))
    return schema


def same_in_python(core_schema: CoreSchema) -> bool:
    """Say whether strict validation decides alike about parsed JSON as Python values and about JSON text.

    It does for what JSON has itself. A date, an enum or a set is something else in Python, so there the text has to be
    read; that costs a second pass over the arguments.
    """
    return all(map(_is_plain, _nodes(core_schema)))


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield every core schema inside a core schema."""
    if isinstance(schema, dict):
        if isinstance(schema.get("type"), str):
            yield schema
        for key, inner in schema.items():
            if key not in _NOT_SCHEMA:
                yield from _nodes(inner)
    elif isinstance(schema, (list, tuple)):
        for inner in schema:
            yield from _nodes(inner)


def _is_plain(node: dict[str, Any]) -> bool:
    if node["type"] == "literal":
        return all(type(value) is str for value in node["expected"])
    # In JSON a dictionary's keys are texts, whatever they are read as.
    keys_are_texts = node.get("keys_schema", {"type": "str"})["type"] == "str"
    return node["type"] in _PLAIN and keys_are_texts
