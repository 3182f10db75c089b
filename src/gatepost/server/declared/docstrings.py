"""Docstrings: what a function says to a model, taken apart when it is declared.

The sections of parameters are understood in the three common conventions: Google's (`Args:`), NumPy's (`Parameters`
over a dashed line) and Sphinx's (`:param text: …`). What is said of the result and of exceptions is for people who call
the function in Python, and left out. Everything else is description, wherever it stands.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import field
from typing import Final

from gatepost.late_dataclass import dataclass

_PARAMETER_SECTIONS: Final = frozenset(
    {"args", "arguments", "parameters", "params", "keyword args", "keyword arguments", "other parameters"}
)
_LEFT_OUT: Final = frozenset({"returns", "return", "yields", "yield", "raises"})
_SECTIONS: Final = _PARAMETER_SECTIONS | _LEFT_OUT
_PARAMETER_FIELDS: Final = frozenset({"param", "parameter", "arg", "argument", "key", "keyword"})
_FIELDS: Final = _PARAMETER_FIELDS | _LEFT_OUT | {"raise", "except", "exception", "type", "rtype"}

_NAMES: Final = r"(?P<names>\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)"
_BULLET: Final = re.compile(r"[-*+]\s")
_GOOGLE_ENTRY: Final = re.compile(rf"(?:[-*+]\s+)?[`*]*{_NAMES}[`*]*(?:\s*\(.*?\))?\s*:(?:\s+(?P<text>.*))?")
_NUMPY_ENTRY: Final = re.compile(rf"{_NAMES}\s*(?::.*)?(?P<text>)")
_SPHINX_FIELD: Final = re.compile(r":(?P<kind>\w+)(?:\s+(?P<of>[^:]*?))?:(?:\s+(?P<text>.*))?")


@dataclass(frozen=True, slots=True)
class Documentation:
    """A docstring, taken apart."""

    description: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    """Descriptions by the names that the docstring gives, each in one line."""


def read_docstring(docstring: str | None) -> Documentation:
    """Take a docstring apart; what is not understood is description."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    reading = _Reading()
    for index, line in enumerate(lines):
        reading.take(line, lines[index + 1 :])
    parameters = {name: text for name, words in reading.found.items() if (text := " ".join(filter(None, words)))}
    description = re.sub(r"\n{3,}", "\n\n", "\n".join(reading.description)).strip()
    return Documentation(description or None, parameters)


class _Reading:
    """Where a docstring has been read to."""

    def __init__(self) -> None:
        self.description: list[str] = []
        self.found: dict[str, list[str]] = {}
        self._entry: re.Pattern[str] | None = None
        """What an entry of the section looks like; None in the description."""
        self._is_parameters = False
        self._indent: int | None = None
        """That of the section's entries, once the first of them was seen."""
        self._current: list[str] | None = None
        self._skips_dashes = False
        self._is_after_blank = False

    def take(self, line: str, following: Sequence[str]) -> None:
        """Read one line; the others that follow it are looked at to know a header."""
        if self._skips_dashes:
            self._skips_dashes = False
        elif (begun := _section_at(line, following)) is not None:
            name, self._entry = begun
            self._is_parameters, self._indent, self._current = name in _PARAMETER_SECTIONS, None, None
            self._skips_dashes = self._entry is _NUMPY_ENTRY
        elif (found := _SPHINX_FIELD.fullmatch(line)) is not None and found["kind"] in _FIELDS:
            self._take_field(found)
        elif self._entry is None:
            self.description.append(line)
        elif self._is_past_section(line, following):
            self._entry = None
            self.description += ["", line]
        elif self._is_parameters:
            self._take_line(line)
        self._is_after_blank = not line

    def _take_field(self, found: re.Match[str]) -> None:
        self._entry, self._indent = _SPHINX_FIELD, 0
        self._is_parameters = found["kind"] in _PARAMETER_FIELDS
        # A type may stand before the name.
        self._begin((found["of"] or "").split()[-1:] if self._is_parameters else (), found["text"])

    def _take_line(self, line: str) -> None:
        """Read a line of a section of parameters."""
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        if self._indent is None and text:
            self._indent = indent
        entry = self._entry if text and indent == self._indent else None
        if entry is not None and (match := entry.fullmatch(text)) is not None:
            self._begin(match["names"].split(","), match["text"])
        elif self._current is None:
            self.description.append(text)
        else:
            self._current.append(text)

    def _begin(self, names: Sequence[str], text: str | None) -> None:
        self._current = [text or ""]
        self.found.update((name.strip(" *"), self._current) for name in names)

    def _is_past_section(self, line: str, following: Sequence[str]) -> bool:
        """Say whether a line that is not indented is none of the section's."""
        if not line or line[0].isspace():
            return False
        if _is_dashed(line, following):
            return True  # another header of NumPy's, such as Notes
        if self._entry is not _NUMPY_ENTRY:
            return self._entry is _SPHINX_FIELD or _BULLET.match(line) is None
        if self._is_parameters:
            return _NUMPY_ENTRY.fullmatch(line) is None
        # Results are named by any type; one with nothing below it, after a blank line, is a paragraph.
        return self._is_after_blank and not "".join(following[:1])[:1].isspace()


def _section_at(line: str, following: Sequence[str]) -> tuple[str, re.Pattern[str]] | None:
    """Return the name of the section that begins on this line, in lower case, and what its entries look like."""
    name = line.lower()
    if name in _SECTIONS and _is_dashed(line, following):
        return name, _NUMPY_ENTRY
    if name.endswith(":") and name[:-1] in _SECTIONS:
        body = next(filter(None, following), "")
        if body[:1].isspace() or _BULLET.match(body):
            return name[:-1], _GOOGLE_ENTRY
    return None


def _is_dashed(line: str, following: Sequence[str]) -> bool:
    """Say whether a line is a header over dashes; three are the fewest that anybody draws."""
    return bool(line.strip()) and bool(following) and re.fullmatch(r"-{3,}", following[0]) is not None
