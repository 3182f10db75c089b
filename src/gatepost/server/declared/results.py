"""Results of tools: from what one returned to a `CallToolResult` (MCP server/tools, "Tool Result").

Types of `mcp_types` are told by their module's name: importing that costs 0.2 s of cold start, and a tool whose author
has not imported it returns none of them.
"""

from __future__ import annotations

import inspect
import math
import re
import sys
import types
from collections.abc import Iterator
from typing import Annotated, Any, Final, Never, NoReturn, Union, get_args, get_origin

import orjson
from pydantic import BaseModel
from pydantic_core import (
    PydanticSerializationError,
    SchemaSerializer,
    SchemaValidator,
    ValidationError,
    to_jsonable_python,
)

from gatepost.late_dataclass import dataclass
from gatepost.protocol.json_encoding import encode, made_whole, whole_text
from gatepost.server.declared.argument_errors import described
from gatepost.server.errors import InvalidResult, ToolDefinitionError
from gatepost.server.json_schema import describe

_WITHOUT_STRUCTURE: Final = (inspect.Signature.empty, None, types.NoneType, str, Any, object, Never, NoReturn)
_BYTES: Final = (bytes, bytearray, memoryview)
_SCALARS: Final = (bool, int, float)
_FIELD_NAME: Final = re.compile(r"field_name='(\w+)'")
_NO_BYTES: Final = (
    "bytes have no place in JSON; return an ImageContent, AudioContent or EmbeddedResource of mcp_types, or text"
)
_CONTENT_TYPES: Final = ("TextContent", "ImageContent", "AudioContent", "ResourceLink", "EmbeddedResource")
_PLAIN_TYPES: Final = frozenset({str, int, float, bool, dict, list, type(None)})
"""What most tools return, and what is no result that the tool has made itself."""
_SMALL: Final = 2**53
"""Integers below it are written by Python as JSON writes them; larger ones may be more than can be sent."""
# Pydantic writes dates and dataclasses, here as in structured results.
_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS


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

        A dictionary will do for a model, and a subclass's further fields stay out. Raises InvalidResult: it is not of
        the declared type. The message holds no value: results may be secret.
        """
        if type(value) is self.exact:
            return value
        try:
            accepted = self.validator.validate_python(value)
            return self.serializer.to_python(accepted, mode="json", by_alias=True, warnings="error")
        except ValidationError as error:
            places = [f"{'.'.join(map(str, one['loc'])) or 'the result'} [{one['type']}]" for one in described(error)]
        except UnicodeEncodeError:
            # Half a surrogate pair in a name; Pydantic lets it be in a text.
            if (whole := made_whole(value)) != value:
                return self.to_json(whole)
            places = ["a name with half a surrogate pair"]
        except PydanticSerializationError as error:
            places = _FIELD_NAME.findall(str(error)) or ["the result"]
        except (ValueError, RecursionError):
            places = ["it nests too deep, or holds itself"]
        raise InvalidResult(f"a {type(value).__name__} was returned that is not what is declared: {', '.join(places)}")


def output_type(declared: Any, function: str, *, or_error: bool = False) -> OutputType | None:
    """Derive what a tool gives; None when its results are text or content blocks, or nothing is known.

    If `or_error`, an `ErrorMessage` is listed beside what it gives. Raises ToolDefinitionError, naming `function`, if
    the declared type has no JSON Schema.
    """
    if declared in _BYTES:
        raise ToolDefinitionError(f"{function}: it returns bytes, and {_NO_BYTES}")
    if _is_without_structure(declared) or _mentions_content(declared):
        return None
    adapter, schema = describe(declared, "serialization", function, "its result", shown=declared)
    if or_error:
        from gatepost.server.calls.models import ErrorMessage  # noqa: PLC0415 - see there

        _, either = describe(Union[declared, ErrorMessage], "serialization", function, "its result")  # noqa: UP007 (made at run time)
        # Sessions list output schemas of objects only.
        kind = {"type": "object"} if schema.get("type") == "object" else {}
        schema = {**kind, **either}
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
    """Say whether a content type stands in `declared`."""
    if isinstance(declared, type) and not get_args(declared):
        return declared.__module__.partition(".")[0] == "mcp_types"
    return any(map(_mentions_content, get_args(declared)))


def to_result(value: Any, output: OutputType | None) -> dict[str, Any]:
    """Return the `CallToolResult` of what a tool returned, as plain JSON values.

    A text becomes one text block and nothing becomes no block. Content blocks, alone or in a list with other values,
    are sent as they are; so is a `CallToolResult`. Anything else is JSON: as text, and as `structuredContent` too when
    the tool declares its output. Raises InvalidResult for a value that is not JSON, or not what is declared.
    """
    kind = type(value)
    if output is None and kind is str:
        return {"content": [_text_block(value)], "isError": False}
    if kind not in _PLAIN_TYPES and isinstance(value, wire_types("CallToolResult")):
        return _ready_result(value, output)
    if output is None:
        blocks = [item for item in value if item is not None] if _holds_blocks(value) else [value]
        return {"content": [] if value is None else [content_block(block) for block in blocks], "isError": False}
    if output.is_open_list and _holds_blocks(value):
        raise InvalidResult(
            "a block of content stands in a list that is declared as data; write list[str | ImageContent], or Any"
        )
    structured = value if kind is output.exact else output.to_json(value)
    return {"content": [_finite_block(structured)], "structuredContent": structured, "isError": False}


def error_result(text: str, *, structured: bool = False) -> dict[str, Any]:
    """Return a result that tells the model what went wrong (MCP, server/tools, "Error Handling").

    If `structured`, programs are told as well, by an `ErrorMessage`.
    """
    result: dict[str, Any] = {"content": [{"type": "text", "text": text}], "isError": True}
    return {**result, "structuredContent": {"error_message": text}} if structured else result


def wire_types(*names: str) -> tuple[type[Any], ...]:
    """Return these types of `mcp_types`, for `isinstance`; none where user code has not imported them."""
    module = sys.modules.get("mcp_types")
    # One that is missing is being imported by a tool in another thread at this moment.
    return tuple(getattr(module, name) for name in names if hasattr(module, name))


def wire_json(model: BaseModel) -> dict[str, Any]:
    """Return a model of `mcp_types` as plain JSON values; raises InvalidResult now if it could not be sent later."""
    values: dict[str, Any] = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    _dump(values)
    return values


def json_text(value: Any) -> str:
    """Return `value` as JSON, or raise InvalidResult: it is not, or holds a text that cannot be sent."""
    return _dump(value).decode()


def content_block(value: Any) -> dict[str, Any]:
    """Return a value as one content block, one of `mcp_types` as it is, or raise InvalidResult: it cannot be sent."""
    return wire_json(value) if isinstance(value, wire_types(*_CONTENT_TYPES)) else _text_block(value)


def _ready_result(value: Any, output: OutputType | None) -> dict[str, Any]:
    """Return a `CallToolResult` that the tool has made itself."""
    result = wire_json(value)
    # The dispatcher says what kind of result it is, in the revisions that have kinds.
    result.pop("resultType", None)
    if output is not None and not value.is_error:
        result["structuredContent"] = output.to_json(value.structured_content)
        _dump(result)
    return result


def _holds_blocks(value: Any) -> bool:
    """Say whether a value is a list in which blocks of content stand."""
    types_ = wire_types(*_CONTENT_TYPES)
    return bool(types_) and isinstance(value, (list, tuple)) and any(isinstance(item, types_) for item in value)


def _text_block(value: Any) -> dict[str, Any]:
    if type(value) is str:
        return {"type": "text", "text": whole_text(value)}
    text = _dump(value).decode()
    # What JSON has as a text (an enum, a date) reads better as that text.
    return {"type": "text", "text": orjson.loads(text) if text.startswith('"') else text}


def _finite_block(value: Any) -> dict[str, Any]:
    """Return the text block of a structured result, which must hold no number that JSON lacks.

    Dumping makes `null` of infinity and of what is not a number, which the declared schema may not allow.
    """
    if type(value) is int and -_SMALL < value < _SMALL:
        return {"type": "text", "text": str(value)}
    block = _text_block(value)
    if "null" in block["text"] and not all(map(math.isfinite, _floats(value))):
        raise InvalidResult("the result holds a number that JSON lacks: infinity, or not a number")
    return block


def _floats(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, (list, dict)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _floats(inner)


def _dump(value: Any) -> bytes:
    """Return `value` as JSON, or raise InvalidResult with a message that does not show it."""
    try:
        return encode(value, _to_json, _OPTIONS)
    except (TypeError, ValueError) as error:
        # The cause is what `_to_json` found; its text may show a value.
        reason = _NO_BYTES if isinstance(error.__cause__, _BytesFound) else str(error)
        raise InvalidResult(f"a {type(value).__name__} was returned that cannot be sent as JSON: {reason}") from None


class _BytesFound(TypeError):
    pass


def _to_json(value: Any) -> Any:
    if isinstance(value, _BYTES):
        raise _BytesFound
    if callable(to_list := getattr(value, "tolist", None)):  # numbers and arrays of numpy, torch and their like
        return to_list()
    return to_jsonable_python(value)
