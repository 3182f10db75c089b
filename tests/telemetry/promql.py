"""What an expression of PromQL asks for: a reader of the part of the language that our panels and rules use."""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<word>[a-zA-Z_:][\w:]*)|(?P<number>\d+(?:\.\d+)?)|(?P<matchers>\{[^}]*\})"""
    r"""|(?P<range>\[\d+[smhd]\])|(?P<sign>>=|<=|==|!=|[-+*/><(),]))"""
)
_MATCHER: Final = re.compile(r'\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*"([^"]*)"\s*')
_FUNCTIONS: Final = {"rate", "increase", "histogram_quantile", "sum", "max", "topk"}
_GROUPING: Final = {"by", "without"}

Selector = tuple[str, list[tuple[str, str, str]], bool]
"""The metric, what its labels have to be, and whether a range of it is asked for."""


def selectors_of(expression: str) -> tuple[list[Selector], set[str]]:
    """Return the selectors of an expression, and the labels that it groups by.

    Raises:
        ValueError: it is none that can be read.
    """
    tokens = _tokens(expression)
    selectors: list[Selector] = []
    grouped: set[str] = set()
    depth, index = 0, 0
    while index < len(tokens):
        kind, text = tokens[index]
        following = tokens[index + 1] if index + 1 < len(tokens) else ("", "")
        if text in {"(", ")"}:
            depth += 1 if text == "(" else -1
            if depth < 0:
                raise ValueError(f"a parenthesis too many: {expression}")
        elif kind == "word" and text in _GROUPING:
            end = next(later for later in range(index, len(tokens)) if tokens[later][1] == ")")
            grouped |= {label for kind, label in tokens[index + 2 : end] if kind == "word"}
            index = end
        elif kind == "word" and text in _FUNCTIONS:
            if following[1] not in {"(", "by"}:
                raise ValueError(f"{text} of nothing: {expression}")
        elif kind == "word":
            matchers = _matchers(following[1]) if following[0] == "matchers" else []
            index += 1 if following[0] == "matchers" else 0
            after = tokens[index + 1][0] if index + 1 < len(tokens) else ""
            selectors.append((text, matchers, after == "range"))
        index += 1
    if depth:
        raise ValueError(f"a parenthesis is open: {expression}")
    return selectors, grouped


def _tokens(expression: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    position = 0
    text = expression.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"cannot be read from {text[position : position + 20]!r} on")
        kind = str(match.lastgroup)
        found.append((kind, match[kind]))
        position = match.end()
    return found


def _matchers(text: str) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    for part in text[1:-1].split(","):
        match = _MATCHER.fullmatch(part)
        if match is None:
            raise ValueError(f"no matcher: {part}")
        found.append((match[1], match[2], match[3]))
    return found
