"""Texts of descriptions, which strangers wrote and models read: without what people do not see, and bounded."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from gatepost.protocol.json_encoding import whole_text

LONGEST_TITLE: Final = 100
LONGEST_DESCRIPTION: Final = 1024
"""Characters of what is said of a tool."""
LONGEST_DETAIL: Final = 512
"""Characters of what is said of one argument or field."""
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
"""Categories of characters that show nothing, among them the tags (U+E0000) in which texts are hidden from people."""
_KEPT: Final = frozenset("\n\t\u200c\u200d")
"""Line ends, and the joiners that some scripts need."""
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_BLANK_LINES: Final = re.compile(r"\n[ \t]*\n\s*")


def shown(text: str) -> str:
    """Return a text without characters that show nothing."""
    if text.isascii():
        return _CONTROLS.sub("", text)
    return "".join(one for one in whole_text(text) if one in _KEPT or unicodedata.category(one) not in _INVISIBLE)


def bounded(text: object, longest: int) -> str | None:
    """Return a text of at most so many characters, an ellipsis at its end if it was cut; None if nothing is left."""
    if not isinstance(text, str):
        return None
    # What lies far behind the end is not even looked at.
    clean = _BLANK_LINES.sub("\n\n", shown(text[: 8 * longest])).strip()
    if len(clean) > longest:
        clean = f"{clean[: longest - 1].rstrip()}…"
    return clean or None
