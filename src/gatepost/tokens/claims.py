"""Members of JSON objects that servers elsewhere send, claims above all, by names that an operator chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def found(value: object, path: str) -> object:
    """Return the member of that name, or else the one at that path with dots, or None.

    The name comes first, since names may hold dots: `https://example.com/groups` is one.
    """
    if not isinstance(value, Mapping):
        return None
    if path in value:
        return value[path]
    name, dot, rest = path.partition(".")
    return found(value.get(name), rest) if dot else None


def texts(value: object) -> Sequence[str]:
    """Return the texts of a list, or none."""
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()
