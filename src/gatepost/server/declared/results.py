"""From what a tool returned to a `CallToolResult` (MCP, server/tools, "Tool Result")."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any, Final

import orjson
from pydantic_core import to_jsonable_python

from gatepost.server.declared.outputs import NO_BYTES, OutputType
from gatepost.server.errors import InvalidResult

_CONTENT_TYPES: Final = ("TextContent", "ImageContent", "AudioContent", "ResourceLink", "EmbeddedResource")
_DECLARE_BLOCKS: Final = "write list[str | ImageContent], or Any"
_PLAIN_TYPES: Final = frozenset({str, int, float, bool, dict, list, type(None)})
"""What most tools return, and what is no result that the tool has made itself."""
_SMALL: Final = 2**53
"""Integers below it are written by Python as JSON writes them; larger ones may be more than can be sent."""
# Pydantic writes dates and dataclasses, here as in structured results.
_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS


def to_result(value: Any, output: OutputType | None) -> dict[str, Any]:
    """Convert what a tool returned.

    A text becomes one text block and nothing becomes no block. Content blocks, alone or in a list with other values,
    are sent as they are; so is a `CallToolResult`. Anything else is JSON: as text, and as `structuredContent` too when
    the tool declares its output.

    Args:
        value: What the tool returned.
        output: What it declares, if it does.

    Returns:
        A `CallToolResult` as plain JSON values.

    Raises:
        InvalidResult: The value is not JSON, or not what is declared.
    """
    kind = type(value)
    if output is None and kind is str:
        return {"content": [_text_block(value)], "isError": False}
    if kind not in _PLAIN_TYPES and (ready := _ready_result(value, output)) is not None:
        return ready
    if output is None:
        return {"content": _blocks(value), "isError": False}
    if output.is_open_list and _holds_blocks(value):
        raise InvalidResult("a block of content stands in a list that is declared as data; " + _DECLARE_BLOCKS)
    structured = value if kind is output.exact else output.to_json(value)
    return {"content": [_finite_block(structured)], "structuredContent": structured, "isError": False}


def error_result(text: str) -> dict[str, Any]:
    """Return a result that tells the model what went wrong (MCP, server/tools, "Error Handling")."""
    # A surrogate, from the name of a file for instance, must not make a second error of the first.
    return {"content": [{"type": "text", "text": text.encode(errors="replace").decode()}], "isError": True}


def json_text(value: Any) -> str:
    """Return `value` as JSON.

    Raises:
        InvalidResult: It is not, or it holds a text that cannot be sent.
    """
    return _dump(value).decode()


def content_block(value: Any) -> dict[str, Any]:
    """Return a value as one content block: blocks of `mcp_types` as they are, anything else as text.

    Raises:
        InvalidResult: It cannot be sent.
    """
    return _block(value, _content_types())


def _ready_result(value: Any, output: OutputType | None) -> dict[str, Any] | None:
    """Return the result if the tool has made a `CallToolResult` itself."""
    result_type = getattr(sys.modules.get("mcp_types"), "CallToolResult", None)
    if result_type is None or not isinstance(value, result_type):
        return None
    result: dict[str, Any] = value.model_dump(mode="json", by_alias=True, exclude_none=True)
    # The dispatcher says what kind of result it is, in the revisions that have kinds.
    result.pop("resultType", None)
    if output is not None and not value.is_error:
        result["structuredContent"] = output.to_json(value.structured_content)
    _dump(result)  # Whether it can be sent is known now, or it is known too late.
    return result


def _content_types() -> tuple[type[Any], ...]:
    """Return the types of content blocks; none before the user's code has imported them, for then it can have none."""
    module = sys.modules.get("mcp_types")
    try:
        return tuple(getattr(module, name) for name in _CONTENT_TYPES)
    except AttributeError:
        # Not imported, or being imported by a tool in another thread at this moment.
        return ()


def _holds_blocks(value: Any) -> bool:
    """Say whether a value is a list in which blocks of content stand."""
    types = _content_types()
    return bool(types) and isinstance(value, (list, tuple)) and any(isinstance(item, types) for item in value)


def _blocks(value: Any) -> list[dict[str, Any]]:
    types = _content_types()
    if _holds_blocks(value):
        return [_block(item, types) for item in value if item is not None]
    return [] if value is None else [_block(value, types)]


def _block(value: Any, content_types: tuple[type[Any], ...]) -> dict[str, Any]:
    if isinstance(value, content_types):
        block: dict[str, Any] = value.model_dump(mode="json", by_alias=True, exclude_none=True)
        _dump(block)
        return block
    return _text_block(value)


def _text_block(value: Any) -> dict[str, Any]:
    if type(value) is str:
        if not value.isascii():
            _dump(value)
        return {"type": "text", "text": value}
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
        return orjson.dumps(value, default=_to_json, option=_OPTIONS)
    except TypeError as error:
        # The cause is what `_to_json` found; its text may show a value.
        reason = NO_BYTES if isinstance(error.__cause__, _BytesFound) else str(error)
        raise InvalidResult(f"a {type(value).__name__} was returned that cannot be sent as JSON: {reason}") from None


class _BytesFound(TypeError):
    pass


def _to_json(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise _BytesFound
    return to_jsonable_python(value)
