"""What a tool gives: schema, validator and serialiser of its structured result."""

from __future__ import annotations

import inspect
import re
import types
from dataclasses import dataclass
from typing import Annotated, Any, Final, Never, NoReturn, Union, get_args, get_origin

from pydantic_core import PydanticSerializationError, SchemaSerializer, SchemaValidator, ValidationError

from gatepost.server.declared.argument_errors import described
from gatepost.server.errors import InvalidResult, ToolDefinitionError
from gatepost.server.json_schema import describe

_WITHOUT_STRUCTURE: Final = (inspect.Signature.empty, None, types.NoneType, str, Any, object, Never, NoReturn)
_BYTES: Final = (bytes, bytearray, memoryview)
_SCALARS: Final = (bool, int, float)
_FIELD_NAME: Final = re.compile(r"field_name='(\w+)'")

NO_BYTES: Final = (
    "bytes have no place in JSON; return an ImageContent, AudioContent or EmbeddedResource of mcp_types, or text"
)


@dataclass(frozen=True, slots=True)
class OutputType:
    """The declared type of a tool's structured result."""

    schema: dict[str, Any]
    """`outputSchema`, of any type."""
    validator: SchemaValidator
    serializer: SchemaSerializer
    exact: type | None
    """A type whose instances are JSON as they are."""
    is_open_list: bool = False
    """Whether it is a list of whatever, which an author may take for one that may hold blocks of content."""

    def to_json(self, value: Any) -> Any:
        """Return `value` as plain JSON values.

        A dictionary will do for a model, and a subclass's further fields stay out.

        Raises:
            InvalidResult: It is not of the declared type. The message holds no value: results may be secret.
        """
        if type(value) is self.exact:
            return value
        try:
            accepted = self.validator.validate_python(value)
            return self.serializer.to_python(accepted, mode="json", by_alias=True, warnings="error")
        except ValidationError as error:
            places = [f"{'.'.join(map(str, one['loc'])) or 'the result'} [{one['type']}]" for one in described(error)]
        except PydanticSerializationError as error:
            places = _FIELD_NAME.findall(str(error)) or ["the result"]
        raise InvalidResult(f"a {type(value).__name__} was returned that is not what is declared: {', '.join(places)}")


def output_type(declared: Any, function: str) -> OutputType | None:
    """Derive what a tool gives; None when its results are text or content blocks, or nothing is known.

    Args:
        declared: A type; `inspect.Signature.empty` when nothing is declared.
        function: The function's name, for messages.

    Raises:
        ToolDefinitionError: The type has no JSON Schema.
    """
    if declared in _BYTES:
        raise ToolDefinitionError(f"{function}: it returns bytes, and {NO_BYTES}")
    if _is_without_structure(declared) or _mentions_content(declared):
        return None
    adapter, schema = describe(declared, "serialization", function, "its result", shown=declared)
    exact = declared if declared in _SCALARS else None
    # The adapter's own two are what they are called, or a plugin's stand-ins for them.
    is_open_list = schema.get("type") == "array" and not schema.get("items")
    return OutputType(schema, adapter.validator, adapter.serializer, exact, is_open_list)  # type: ignore[arg-type]  # see above


def _is_without_structure(declared: Any) -> bool:
    if get_origin(declared) is Annotated:
        return _is_without_structure(declared.__origin__)
    if get_origin(declared) in {Union, types.UnionType}:
        return all(map(_is_without_structure, get_args(declared)))
    return any(declared is one for one in _WITHOUT_STRUCTURE)


def _mentions_content(declared: Any) -> bool:
    """Say whether a content type stands in `declared`, told by its module: importing that costs 0.2 s of cold start."""
    if isinstance(declared, type) and not get_args(declared):
        return declared.__module__.partition(".")[0] == "mcp_types"
    return any(map(_mentions_content, get_args(declared)))
