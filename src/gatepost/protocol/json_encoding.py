"""JSON as it is sent (record 0042).

The encoder refuses what Python holds and JSON can say all the same: half a surrogate pair in a text (from the name of a
file, or a text that was cut) and integers beyond 64 bits. Only what it has refused is gone through.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Final

import orjson

_DEEPEST: Final = 250
"""Levels; the encoder takes a few more."""
_WIDE: Final = 2**63
"""Integers from here on, of either sign, are beyond what the encoder surely takes."""

Default = Callable[[Any], Any]
"""Returns what stands for a value that JSON has no form for, or raises."""


def encode(value: Any, default: Default | None = None, option: int | None = None) -> bytes:
    """Return a value as JSON; half a surrogate pair is written as U+FFFD, an integer with all its digits.

    Args:
        value: what orjson encodes, and the two that it refuses.
        default: as for `orjson.dumps`.
        option: as for `orjson.dumps`.

    Raises:
        TypeError: JSON has no form for something in it.
        ValueError: it nests too deep or holds itself, or an integer has more digits than Python writes.
    """
    try:
        return orjson.dumps(value, default, option)
    except orjson.JSONEncodeError:
        second = None if default is None else lambda inner: made_whole(default(inner))
        return orjson.dumps(made_whole(value), second, option)


def whole_text(text: str) -> str:
    """Return a text with U+FFFD for each half of a surrogate pair that stands without the other."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def made_whole(value: Any, depth: int = 0) -> Any:
    """Return a value that the encoder takes, if JSON can say it; raises ValueError as `encode` does."""
    if depth > _DEEPEST:
        raise ValueError(f"it nests deeper than {_DEEPEST} levels, or holds itself")
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, enum.Enum):
        return made_whole(value.value, depth)
    if isinstance(value, int):
        return value if -_WIDE <= value < _WIDE else orjson.Fragment(_digits(value))
    if isinstance(value, dict):
        made = {_name(name): made_whole(inner, depth + 1) for name, inner in value.items()}
        if len(made) != len(value):
            raise ValueError("two of its names differ only in what cannot be sent")
        return made
    if isinstance(value, (list, tuple)):
        return [made_whole(inner, depth + 1) for inner in value]
    return value


def _name(name: Any) -> Any:
    if isinstance(name, str):
        return whole_text(name)
    is_wide = isinstance(name, int) and not -_WIDE <= name < _WIDE
    return _digits(name) if is_wide else name


def _digits(value: int) -> str:
    try:
        return str(int(value))
    except ValueError:
        raise ValueError("it holds an integer of more digits than Python writes (sys.set_int_max_str_digits)") from None
