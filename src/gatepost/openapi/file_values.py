"""Files in arguments: how a client sends one, and where a description wants one."""

from __future__ import annotations

import base64
import binascii
import mimetypes
from collections.abc import Mapping
from typing import Any, Final

from gatepost.late_dataclass import dataclass

FILE_NAME: Final = "File"
"""What its schema is called in `$defs`."""
_OCTETS: Final = "application/octet-stream"
_TEXT: Final = "text/plain"

FILE: Final[dict[str, Any]] = {
    "title": "File",
    "type": "object",
    "properties": {
        "text": {"type": "string", "description": "The content, if it is text."},
        "base64": {"type": "string", "contentEncoding": "base64", "description": "The content, if it is not text."},
        "filename": {"type": "string", "maxLength": 255},
        "media_type": {
            "type": "string",
            "maxLength": 255,
            "pattern": r"^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*$",
            "description": "Such as image/png.",
        },
    },
    "oneOf": [{"required": ["text"]}, {"required": ["base64"]}],
    "additionalProperties": False,
}
"""The schema of a file. Its media type is put into a header, which is why it has a pattern."""

_STRUCTURE: Final = frozenset({"$ref", "allOf", "anyOf", "const", "enum", "if", "items", "not", "oneOf", "properties"})


@dataclass(frozen=True, slots=True)
class FileValue:
    """A file that a client sent."""

    content: bytes
    filename: str | None
    media_type: str


def is_binary(schema: Mapping[str, Any], *, is_30: bool) -> bool:
    """Say whether a schema is of raw bytes (3.1.1, "Working with Binary Data").

    3.0 has `format: binary` for them, which many a description of 3.1 still has.
    """
    kind = schema.get("type")
    is_text = kind == "string" or (isinstance(kind, list) and "string" in kind)
    if is_text and schema.get("format") == "binary":
        return True
    if is_30 or not (kind is None or is_text) or "contentEncoding" in schema:
        return False
    return "contentMediaType" in schema or (kind is None and _STRUCTURE.isdisjoint(schema))


def is_base64(text: str) -> bool:
    """Say whether a text is the base64 of something."""
    return _decoded(text) is not None


def read_file_value(value: Mapping[str, Any], default: str | None = None) -> FileValue:
    """Return a file of arguments that have been checked.

    Args:
        value: fits `FILE`.
        default: its media type, if the client does not say one.
    """
    filename = value.get("filename")
    guessed = None if filename is None else mimetypes.guess_type(filename)[0]
    if "text" in value:
        content, unsaid = value["text"].encode(errors="replace"), _TEXT
    else:
        content, unsaid = _decoded(value["base64"]) or b"", _OCTETS
    return FileValue(content, filename, value.get("media_type") or default or guessed or unsaid)


def _decoded(text: str) -> bytes | None:
    standard = "".join(text.split()).translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
