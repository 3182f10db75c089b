"""URI templates (RFC 6570) read backwards: from a URI to the values it was expanded with.

`{name}` stands for one path segment, `{+path}` for several, and `{?first,second}` at the end for a query, any part of
which may be missing. The rest of RFC 6570 cannot be told apart backwards, or nobody would. What they hold ends up in
file names and queries, so values that mean something to a file system are no match: a slash in a `{name}`, written or
encoded; `.` and `..` as a segment; a leading slash; a backslash; control characters (MCP server/resources, "Security
Considerations").

Matching is done without a regular expression over the whole: each value ends where the next literal begins for the
first time, so the time it takes grows with the length of the URI and with nothing else.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from gatepost.protocol.uris import encoded, normal_form, with_lower_host, with_needed_escapes

_EXPRESSION: Final = re.compile(r"\{([^{}]*)\}")
_VARIABLE: Final = re.compile(r"(\+?)([A-Za-z_][A-Za-z0-9_]*)")
_QUERY: Final = re.compile(r"\{\?([A-Za-z_][A-Za-z0-9_]*(?:,[A-Za-z_][A-Za-z0-9_]*)*)\}\Z")
# RFC 3986: pchar without the percent sign; all unreserved and reserved characters.
_SEGMENT: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+")
_ANYTHING: Final = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
_QUERY_VALUE: Final = re.compile(r"(?:[A-Za-z0-9._~:/?@!$'()*+,;-]|%[0-9A-Fa-f]{2})*")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PAST_HOST: Final = re.compile(r"[^:]*:(?://[^/?#]*[/?#]|[^/]|/[^/])")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class UriError(ValueError):
    """A text is no URI, or no template that can be read backwards; the message says what is wrong with it."""


class UriTemplate:
    """A template, parsed; raises UriError if the text is none, or has an expression that cannot be read backwards."""

    def __init__(self, text: str) -> None:
        found_query = _QUERY.search(text)
        self.query: tuple[str, ...] = () if found_query is None else tuple(found_query[1].split(","))
        """The names of the `{?...}` at the end."""
        path = text if found_query is None else text[: found_query.start()]
        if self.query and "?" in path:
            raise UriError(f"{text!r} has a question mark before its {{?...}}")
        pieces = _EXPRESSION.split(path)
        # What stands around the expressions: one more than there are of those.
        self._literals = pieces[::2]
        check_uri(self._literals[0])
        self._variables: list[tuple[str, bool]] = []  # each with whether it is a `{+name}`
        for expression in pieces[1::2]:
            found = _VARIABLE.fullmatch(expression)
            if found is None:
                raise UriError(
                    f"{{{expression}}} in {text!r} is not understood; write {{name}}, {{+path}} for several segments, "
                    "or {?first,second} at the end for a query"
                )
            self._variables.append((found[2], bool(found[1])))
        names = (*self.query, *(name for name, _ in self._variables))
        self.names = frozenset(names)
        if twice := [name for name in names if names.count(name) > 1]:
            raise UriError(f"{text!r} has {{{twice[0]}}} twice")
        if "" in self._literals[1:-1]:
            raise UriError(f"{text!r} has two expressions side by side; nothing says where one ends")
        if not all(map(_ANYTHING.fullmatch, self._literals)):
            raise UriError(f"{text!r} has characters between its expressions that URIs do not have")
        # Beside an expression a host or path may go on, so what http says of their ends holds for whole URIs alone.
        first = encoded(self._literals[0]) if len(pieces) == 1 or _PAST_HOST.match(self._literals[0]) else None
        self._literals = list(map(with_needed_escapes, self._literals))
        self._literals[0] = with_lower_host(first or _with_lower_scheme(self._literals[0]))

    def match(self, uri: str) -> dict[str, str] | None:
        """Return the values by name, decoded; None if `uri` is no expansion of this template with safe values.

        Any spelling of a URI will do, also one with characters that URIs do not have (`protocol.uris`). Names of the
        query that `uri` does not have are not there.
        """
        spelled = encoded(uri)
        return None if spelled is None else self.match_encoded(spelled)

    def match_encoded(self, uri: str) -> dict[str, str] | None:
        """Do what `match` does with what `encoded` gave."""
        path, mark, query = uri.partition("?") if self.query else (uri, "", "")
        values = self._match_path(path)
        if values is None or not mark:
            return values
        found = self._match_query(query)
        return None if found is None else values | found

    def _match_query(self, query: str) -> dict[str, str] | None:
        """Read `first=1&second=2`, in any order; None if there is anything else in it."""
        values: dict[str, str] = {}
        # One more than there may be is enough to see that there are too many.
        for pair in query.split("&", len(self.query)):
            name, _, raw = pair.partition("=")
            value = _safe_value(raw) if _QUERY_VALUE.fullmatch(raw) else None
            if value is None or name not in self.query or name in values:
                return None
            values[name] = value
        return values

    def _match_path(self, uri: str) -> dict[str, str] | None:
        first, last = self._literals[0], self._literals[-1]
        if not self._variables:
            return {} if with_lower_host(uri) == first else None
        end = len(uri) - len(last)
        position = len(first)
        # In what the template says itself the case of the host does not count; a value keeps its own.
        if position > end or with_lower_host(uri[:position]) != first or not uri.endswith(last):
            return None
        values: dict[str, str] = {}
        for index, (name, many_segments) in enumerate(self._variables, start=1):
            literal = self._literals[index]
            stop = end if index == len(self._variables) else uri.find(literal, position, end)
            value = None if stop < 0 else _path_value(uri[position:stop], many_segments=many_segments)
            if value is None:
                return None
            values[name] = value
            position = stop + len(literal)
        return values


def normal_template(text: str) -> str:
    """Return the text of a template, or a fixed URI, in the spelling that is compared; braces may be escaped."""
    return normal_form(text.replace("{", "%7B").replace("}", "%7D")) or text


def check_uri(text: str) -> None:
    """Raise UriError unless `text` is an absolute URI by its characters (RFC 3986 section 4.3)."""
    if not _SCHEME.match(text) or not _ANYTHING.fullmatch(text):
        meant = encoded(text)
        advice = "it begins with a scheme, as notes://today does, and is ASCII" if meant is None else f"write {meant!r}"
        raise UriError(f"{text!r} is no URI: {advice}")


def _with_lower_scheme(start: str) -> str:
    scheme, colon, rest = start.partition(":")
    return f"{scheme.lower()}{colon}{rest}"


def _path_value(raw: str, *, many_segments: bool) -> str | None:
    """Return the value that `raw` is the expansion of, or None if it is none or not a safe one."""
    if not raw or (_ANYTHING if many_segments else _SEGMENT).fullmatch(raw) is None:
        return None
    value = _safe_value(raw)
    return None if value is None or ("/" in value and not many_segments) else value


def _safe_value(raw: str) -> str | None:
    """Decode a value; None if it is no UTF-8, or could lead out of a folder."""
    try:
        value = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        return None
    if "\\" in value or _CONTROL.search(value) or value.startswith("/"):
        return None
    return None if any(segment in {".", ".."} for segment in value.split("/")) else value
