"""JSON Schema (2020-12) and validators, derived once from declared types."""

from __future__ import annotations

import contextlib
import inspect
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints

from pydantic import Field, PydanticUserError, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from pydantic_core import CoreSchema, SchemaError, SchemaValidator
from typing_extensions import ReadOnly

from gatepost.protocol.header_values import subschemas
from gatepost.server.errors import ToolDefinitionError
from gatepost.server.typed_dicts import admit_typed_dicts

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

_QUALIFIERS: Final = frozenset({Required, NotRequired, ReadOnly})
_REFERENCES: Final = ("$ref", "$dynamicRef")


class _SchemaGenerator(GenerateJsonSchema):
    """Leaves out titles that repeat the field's name, which models would read at a cost and for nothing."""

    # A default that JSON cannot express is left out; the function still uses it.
    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 (as the base declares it)

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 (the base's signature)
        return False

    def model_schema(self, schema: Any) -> dict[str, Any]:
        return _with_field_descriptions(super().model_schema(schema), schema["cls"])

    def dataclass_schema(self, schema: Any) -> dict[str, Any]:
        return _with_field_descriptions(super().dataclass_schema(schema), schema["cls"])

    def typed_dict_schema(self, schema: Any) -> dict[str, Any]:
        return _with_field_descriptions(super().typed_dict_schema(schema), schema.get("cls"))


def _with_field_descriptions(schema: dict[str, Any], declared: Any) -> dict[str, Any]:
    """Put the plain texts into a class's schema that annotate its fields; Pydantic passes over them."""
    properties = schema.get("properties", {})
    fields = getattr(declared, "__pydantic_fields__", None)
    if fields is not None:
        texts = {name: _text_in(info.metadata) for name, info in fields.items()}
        # Under an alias if there is one, and that is used.
        texts |= {info.alias: texts[name] for name, info in fields.items()}
    else:
        texts = {name: _text_in(_metadata_of(hint)) for name, hint in _hints_of(declared).items()}
    for name, text in texts.items():
        if text is not None and name in properties:
            properties[name].setdefault("description", text)
    return schema


def _hints_of(declared: Any) -> dict[str, Any]:
    with contextlib.suppress(NameError, TypeError):
        return get_type_hints(declared, include_extras=True)
    return {}


def _metadata_of(annotation: Any) -> tuple[Any, ...]:
    while get_origin(annotation) in _QUALIFIERS:
        annotation = get_args(annotation)[0]
    return annotation.__metadata__ if get_origin(annotation) is Annotated else ()


def with_descriptions(annotation: Any) -> Any:
    """Return an annotation with the plain texts in its `Annotated`, wherever inside, as descriptions for Pydantic."""
    origin, members = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = with_descriptions(annotation.__origin__)
        described = annotation if inner is annotation.__origin__ else Annotated[(inner, *annotation.__metadata__)]
        text = _text_in(annotation.__metadata__)
        return described if text is None else prepend_metadata(described, Field(description=text))
    if origin is Literal or not members:
        return annotation
    changed = tuple(with_descriptions(member) for member in members)
    if all(one is other for one, other in zip(changed, members, strict=True)):
        return annotation
    return Union[changed] if origin in {Union, types.UnionType} else origin[changed]  # noqa: UP007 (made at run time)


def prepend_metadata(annotation: Any, metadata: Any) -> Any:
    """Return an annotation with `metadata` as the first of its own, so that what its author wrote overrides it."""
    if get_origin(annotation) is Annotated:
        return Annotated[(annotation.__origin__, metadata, *annotation.__metadata__)]
    return Annotated[annotation, metadata]


def _text_in(metadata: Iterable[Any]) -> str | None:
    """Return the plain texts in the metadata of an `Annotated`, and those of `Doc` (PEP 727), in one; None for none."""
    texts = [one if isinstance(one, str) else getattr(one, "documentation", None) for one in metadata]
    return " ".join(text for text in texts if isinstance(text, str)) or None


def describe(
    declared: Any, mode: JsonSchemaMode, function: str, what: str, *, shown: Any = None
) -> tuple[TypeAdapter[Any], dict[str, Any]]:
    """Return Pydantic's adapter for a type, and the type's JSON Schema with all definitions inside it.

    A type that has none raises ToolDefinitionError. Its message names the function, what of the function the type is,
    and the type as the user wrote it, if `shown`.
    """
    try:
        admit_typed_dicts(declared)
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
    """Put the definition that the schema of a recursive or annotated type refers to where the schema itself is read."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    definitions = dict(schema["$defs"])
    name = reference.removeprefix("#/$defs/")
    beside = {key: value for key, value in schema.items() if key not in {"$ref", "$defs"}}
    unfolded = {**definitions[name], **beside}
    if repr(reference) not in repr(definitions):
        del definitions[name]
    return {**unfolded, "$defs": definitions} if definitions else unfolded


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
