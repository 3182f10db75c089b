"""Patterns that strangers wrote: only those are checked here that take a time in proportion to the text."""

from __future__ import annotations

import functools
from typing import Final

import jsonschema_rs

_LONGEST: Final = 2000
_LARGEST: Final = 256 * 1024
"""Bytes of a compiled pattern; `.{1,100000}` has many more."""

LINEAR: Final = jsonschema_rs.RegexOptions(size_limit=_LARGEST, dfa_size_limit=_LARGEST)
"""An engine without backtracking, so that no text makes a pattern run for hours."""


@functools.lru_cache(maxsize=4096)
def is_checkable(pattern: str) -> bool:
    """Say whether that engine takes a pattern: it has no look-around and no back reference, and is not too large."""
    if len(pattern) > _LONGEST:
        return False
    try:
        jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=LINEAR, offline=True)
    except (ValueError, jsonschema_rs.ReferencingError):
        return False
    return True
