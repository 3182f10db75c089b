"""URI templates (RFC 6570 levels 1 and 2) read backwards: from a URI to the values it was expanded with.

`{name}` stands for one path segment and `{+path}` for several. What they hold ends up in file names and queries, so
values that mean something to a file system are no match: a slash in a `{name}`, written or encoded; `.` and `..` as a
segment; a leading slash; a backslash; control characters (MCP server/resources, "Security Considerations").

Matching is done without a regular expression over the whole: each value ends where the next literal begins for the
first time, so the time it takes grows with the length of the URI and with nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

_EXPRESSION: Final = re.compile(r"\{([^{}]*)\}")
_VARIABLE: Final = re.compile(r"(\+?)([A-Za-z_][A-Za-z0-9_]*)")
# RFC 3986: pchar without the percent sign; all unreserved and reserved characters.
_SEGMENT: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+")
_ANYTHING: Final = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class UriError(ValueError):
    """A text is no URI, or no template that can be read backwards; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One expression of a template."""

    name: str
    many_segments: bool
    """Whether it is a `{+name}`."""

    def read(self, raw: str) -> str | None:
        """Return the value that `raw` is the expansion of, or None if it is none or not a safe one."""
        if not raw or (_ANYTHING if self.many_segments else _SEGMENT).fullmatch(raw) is None:
            return None
        try:
            value = unquote_to_bytes(raw).decode()
        except UnicodeDecodeError:
            return None
        if "\\" in value or _CONTROL.search(value) or value.startswith("/"):
            return None
        if not self.many_segments and "/" in value:
            return None
        return None if any(segment in {".", ".."} for segment in value.split("/")) else value


@dataclass(frozen=True, slots=True)
class UriTemplate:
    """A template, parsed."""

    text: str
    variables: tuple[Variable, ...]
    literals: tuple[str, ...]
    """What stands around the variables: one more than there are of those."""

    def match(self, uri: str) -> dict[str, str] | None:
        """Return the values by name, decoded; None if `uri` is no expansion of this template with safe values."""
        first, last = self.literals[0], self.literals[-1]
        end = len(uri) - len(last)
        position = len(first)
        if position > end or not uri.startswith(first) or not uri.endswith(last):
            return None
        values: dict[str, str] = {}
        for index, variable in enumerate(self.variables, start=1):
            literal = self.literals[index]
            stop = end if index == len(self.variables) else uri.find(literal, position, end)
            value = None if stop < 0 else variable.read(uri[position:stop])
            if value is None:
                return None
            values[variable.name] = value
            position = stop + len(literal)
        return values


def check_uri(text: str) -> None:
    """Check that `text` is an absolute URI by its characters (RFC 3986 section 4.3).

    Raises:
        UriError: It is not.
    """
    if not _SCHEME.match(text) or not _ANYTHING.fullmatch(text):
        raise UriError(f"{text!r} is no URI: it begins with a scheme, as notes://today does, and is ASCII, encoded")


def parse_uri_template(text: str) -> UriTemplate:
    """Parse a template.

    Raises:
        UriError: It is none, or has an expression that cannot be read backwards.
    """
    pieces = _EXPRESSION.split(text)
    literals, expressions = pieces[::2], pieces[1::2]
    check_uri(literals[0])
    variables: list[Variable] = []
    for expression in expressions:
        found = _VARIABLE.fullmatch(expression)
        if found is None:
            raise UriError(
                f"{{{expression}}} in {text!r} is not understood; write {{name}}, or {{+path}} for several segments"
            )
        if any(variable.name == found[2] for variable in variables):
            raise UriError(f"{text!r} has {{{found[2]}}} twice")
        variables.append(Variable(found[2], many_segments=bool(found[1])))
    if "" in literals[1:-1]:
        raise UriError(f"{text!r} has two expressions side by side; nothing says where one ends")
    if not all(map(_ANYTHING.fullmatch, literals)):
        raise UriError(f"{text!r} has characters between its expressions that URIs do not have")
    return UriTemplate(text, tuple(variables), tuple(literals))
