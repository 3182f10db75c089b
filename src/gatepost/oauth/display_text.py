"""Text that somebody else chose, made safe to show beside what we vouch for (Unicode Technical Report 36).

Escaping keeps it from being markup. This keeps it from hiding its direction, its length or itself: a client names
itself, and its name stands on the page where a person decides whether to trust it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LONGEST: Final = 60
"""Characters shown."""

# What leaves no ink though Unicode does not class it as a control or format character: fillers, selectors, the Braille
# blank.
_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_STACKED_MARKS: Final = 2
"""Combining marks in a row that real languages need; more are there to paint over the neighbouring lines."""


def display_text(text: str, *, longest: int = LONGEST) -> str:
    """Return `text` on one line without control, format, unassigned and blank characters, cut to `longest`.

    Nothing may be left of it: the empty string is a possible answer.
    """
    kept: list[str] = []
    marks = 0
    # Cut before the loop too: a name of a megabyte is not worth looking at.
    for character in unicodedata.normalize("NFC", _BLANK.sub("", text[: longest * 8])):
        category = unicodedata.category(character)
        marks = marks + 1 if category.startswith("M") else 0
        if category.startswith("Z") or character in "\t\n\r":
            kept.append(" ")
        elif not category.startswith("C") and marks <= _STACKED_MARKS:
            kept.append(character)
    shown = " ".join("".join(kept).split())
    return shown if len(shown) <= longest else shown[: longest - 1].rstrip() + "…"
