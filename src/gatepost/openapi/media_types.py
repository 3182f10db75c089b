"""Media types, as far as a description and its API say them."""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = r"[A-Za-z0-9!#$&^_.+*-]+"
_WHOLE: Final = re.compile(rf"{_NAME}/{_NAME}[ \t]*(?:;[\t\x20-\x7e]*)?")  # RFC 9110 section 8.3.1, or a range of them

_TEXTS: Final = frozenset(
    {
        "application/ecmascript",
        "application/graphql",
        "application/javascript",
        "application/jsonl",
        "application/ndjson",
        "application/sql",
        "application/toml",
        "application/x-ndjson",
        "application/x-sh",
        "application/x-www-form-urlencoded",
        "application/xml",
        "application/yaml",
        "application/x-yaml",
        "image/svg+xml",
    }
)


def is_media_type(text: str) -> bool:
    """Say whether a text is a media type or a range of them, and so can stand in a header."""
    return _WHOLE.fullmatch(text) is not None


def essence(media_type: str) -> str:
    """Return a media type without its parameters, in small letters."""
    return media_type.partition(";")[0].strip().lower()


def is_json(media_type: str) -> bool:
    """Say whether what is of this type is JSON."""
    kind = essence(media_type)
    return kind in {"application/json", "text/json"} or kind.endswith("+json")


def is_text(media_type: str) -> bool:
    """Say whether what is of this type is a text that models read."""
    kind = essence(media_type)
    return kind.startswith("text/") or kind in _TEXTS or kind.endswith(("+xml", "+yaml")) or is_json(kind)
