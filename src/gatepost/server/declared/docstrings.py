"""Docstrings: what one says to a model, a description and a line for each parameter.

Understands the Google convention (`Args:`) and the NumPy one (`Parameters` over a dashed line). A docstring in any
other shape is all description.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gatepost.server.declared.signature import underlying_function

_PARAMETER_SECTIONS: Final = frozenset({"args", "arguments", "parameters"})
_SECTIONS: Final = _PARAMETER_SECTIONS | {"returns", "return", "yields", "yield", "raises"}
"""Where the description ends. What follows is for people who call the function in Python."""

_GOOGLE_ENTRY: Final = re.compile(r"\*{0,2}(?P<names>\w+)(?:\s*\([^)]*\))?:\s*(?P<text>.*)")
_NUMPY_ENTRY: Final = re.compile(r"(?P<names>\w+(?:\s*,\s*\w+)*)\s*(?::.*)?(?P<text>)")


@dataclass(frozen=True, slots=True)
class Documentation:
    """A docstring, taken apart."""

    description: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    """Descriptions by parameter name, each in one line."""


def documentation_of(func: Callable[..., Any]) -> Documentation:
    """Return what the docstring says, of a function or of the class of an object that is called."""
    docstring = inspect.getdoc(underlying_function(func))
    if docstring is None and not inspect.isroutine(func) and not isinstance(func, functools.partial):
        docstring = inspect.getdoc(type(func))
    return read_docstring(docstring)


def read_docstring(docstring: str | None) -> Documentation:
    """Take a docstring apart; whatever is not understood stays out."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    description: list[str] = []
    parameters: dict[str, str] = {}
    section: str | None = None
    body: list[str] = []
    for index, line in enumerate(lines):
        header, dashed = _header(lines, index)
        if header is not None:
            parameters |= _entries(section, body)
            section, body = header, []
        elif section is None:
            description.append(line)
        elif not dashed:
            body.append(line)
    parameters |= _entries(section, body)
    return Documentation("\n".join(description).strip() or None, parameters)


def _header(lines: Sequence[str], index: int) -> tuple[str | None, bool]:
    """Return the section that begins on this line, and whether the line is the dashes under a NumPy header."""
    line = lines[index]
    following = lines[index + 1] if index + 1 < len(lines) else ""
    if _is_dashes(line) and index and lines[index - 1].lower() in _SECTIONS:
        return None, True
    name = line.lower()
    if name in _SECTIONS and _is_dashes(following):
        return name, False
    if name.endswith(":") and name[:-1] in _SECTIONS and following[:1].isspace():
        return name[:-1], False
    return None, False


def _is_dashes(line: str) -> bool:
    return len(line) >= 3 and set(line) == {"-"}  # noqa: PLR2004 (the shortest rule that anybody draws)


def _entries(section: str | None, body: Sequence[str]) -> dict[str, str]:
    if section not in _PARAMETER_SECTIONS:
        return {}
    first = next((line for line in body if line.strip()), "")
    indent = len(first) - len(first.lstrip())
    # Google indents the whole section; NumPy does not.
    entry = _GOOGLE_ENTRY if indent else _NUMPY_ENTRY
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in body:
        text = line.strip()
        if line[: indent + 1].strip() and (match := entry.fullmatch(text)):
            current = [match["text"]]
            found.update((name.strip(), current) for name in match["names"].split(","))
        else:
            current.append(text)
    return {name: text for name, words in found.items() if (text := _one_line(words))}


def _one_line(words: Iterable[str]) -> str:
    return " ".join(word for word in words if word)
