"""From arguments to a request: its address, headers and body."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, unquote

import orjson

from gatepost.late_dataclass import dataclass
from gatepost.openapi.bodies import Body, BodyKind, Written, write_body
from gatepost.openapi.errors import UnusableSchema
from gatepost.openapi.file_values import is_base64
from gatepost.openapi.parameters import Argument
from gatepost.openapi.styles import cookies, header_value, path_part, query_parts
from gatepost.server.errors import ArgumentProblem

_VARIABLE: Final = re.compile(r"\{([^{}]+)\}")
_STEPS: Final = frozenset({".", ".."})
_SEPARATORS: Final = re.compile(r"[/\\]")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_PATH_CHARACTERS: Final = "/:@!$&'()*+,;=-._~%"  # RFC 3986 section 3.3, with "%" of what is encoded already
_QUERY_CHARACTERS: Final = "/:@!$&'()*+,;=-._~%?"  # section 3.4
_MOST_DECODINGS: Final = 4


@dataclass(frozen=True, slots=True)
class APIRequest:
    """A request to an API, without what the server adds to each."""

    url: str
    headers: Mapping[str, str]
    body: Written | None


@dataclass(frozen=True, slots=True)
class RequestForm:
    """What every request of an operation has in common."""

    method: str
    url: str
    """Of the server, without a slash at its end."""
    path: str
    query: str
    """What stands in each query string, percent-encoded."""
    arguments: Sequence[Argument]
    body: Body | None
    body_name: str
    """Of the argument that is the body."""
    accept: str

    def check(self, given: Mapping[str, Any]) -> Iterator[ArgumentProblem]:
        """Yield what speaks against arguments that fit their schema: what a path or a header cannot carry."""
        for argument in self.arguments:
            if argument.location == "header" and _CONTROLS.search(_header(argument, given.get(argument.name))):
                yield ArgumentProblem(argument.name, "is sent in a header, which has no line breaks")
        yield from self._problems_in_path(given)
        if self.body is not None and self.body.kind in {BodyKind.FILE, BodyKind.MULTIPART} and self.body_name in given:
            yield from _problems_of_files(given[self.body_name], self.body_name)

    def request(self, given: Mapping[str, Any]) -> APIRequest:
        """Return the request for arguments that have passed `check`."""
        query = [self.query] if self.query else []
        headers: dict[str, str] = {"Accept": self.accept}
        crumbs: list[str] = []
        for argument in self.arguments:
            value = given.get(argument.name)
            if value is None:
                continue
            if argument.location == "query":
                query += query_parts(
                    argument.wire_name,
                    _as_sent(argument, value),
                    argument.style,
                    explode=argument.explode,
                    allow_reserved=argument.allow_reserved,
                )
            elif argument.location == "header":
                headers[argument.wire_name] = _header(argument, value)
            elif argument.location == "cookie":
                crumbs += cookies(argument.wire_name, _as_sent(argument, value), explode=argument.explode)
        if crumbs:
            headers["Cookie"] = "; ".join(crumbs)
        written = None
        if self.body is not None and self.body_name in given:
            written = write_body(self.body, given[self.body_name])
            if written.media_type is not None:
                headers["Content-Type"] = written.media_type
        url = self.url + self._path(given)
        return APIRequest(f"{url}?{'&'.join(query)}" if query else url, headers, written)

    def _path(self, given: Mapping[str, Any]) -> str:
        by_wire_name = {one.wire_name: one for one in self.arguments if one.location == "path"}
        # Texts of the path, and between them the names of its variables.
        pieces = _VARIABLE.split(self.path)
        for position, piece in enumerate(pieces):
            if position % 2:
                argument = by_wire_name[piece]
                value = _as_sent(argument, given[argument.name])
                pieces[position] = path_part(piece, value, argument.style, explode=argument.explode)
            else:
                pieces[position] = quote(piece, safe=_PATH_CHARACTERS)
        return "".join(pieces)

    def _problems_in_path(self, given: Mapping[str, Any]) -> Iterator[ArgumentProblem]:
        """Yield the arguments that would lead to another path than the operation's.

        A slash is encoded and stays in its place (`%2F`), but there are servers and proxies that decode it first and
        then take `..` for a step upwards, so no part of a value may be one.
        """
        names = [argument.name for argument in self.arguments if argument.location == "path"]
        if empty := [name for name in names if _is_empty(given[name])]:
            yield from (ArgumentProblem(name, "should not be empty: it is a part of a path") for name in empty)
        elif names and _has_step(self._path(given)):
            yield from (ArgumentProblem(name, "is a part of a path, and . or .. is none") for name in names)


def sent_path(path: str) -> tuple[str, str]:
    """Return a path of a description and its query as they are sent.

    Some tell operations of one path apart by a query such as `?beta=true`, which is sent, or by a fragment, which never
    is. Raises UnusableSchema if it leads elsewhere than to itself.
    """
    sent, _, query = path.partition("#")[0].partition("?")
    if "{" in query:
        raise UnusableSchema("its path has a variable behind a ?; what stands there is described as a parameter")
    if _has_step(sent):
        raise UnusableSchema("its path has a step . or .. in it")
    return sent, quote(query, safe=_QUERY_CHARACTERS)


def _has_step(path: str) -> bool:
    """Say whether a path has a step `.` or `..`, also if it is decoded again and again, or has parameters (`..;a`)."""
    for _ in range(_MOST_DECODINGS):
        if any(step.partition(";")[0] in _STEPS for step in _SEPARATORS.split(path)):
            return True
        path = unquote(path)
    return False


def _is_empty(value: Any) -> bool:
    """Say whether nothing, or nothing but separators, would take the place of a variable."""
    if isinstance(value, (list, dict)):
        return all(one is None or one == "" for one in (value.values() if isinstance(value, dict) else value))
    return value is None or value == ""


def _as_sent(argument: Argument, value: Any) -> Any:
    return orjson.dumps(value).decode() if argument.is_json else value


def _header(argument: Argument, value: Any) -> str:
    return "" if value is None else header_value(_as_sent(argument, value), explode=argument.explode)


def _problems_of_files(value: Any, name: str) -> Iterator[ArgumentProblem]:
    """Yield what is wrong with files in a body, whose schema cannot say that a text is base64."""
    fields = value.items() if isinstance(value, dict) else ()
    files = [(name, value), *((f"{name}.{key}", one) for key, one in fields)]
    for place, one in files:
        for file in one if isinstance(one, list) else [one]:
            is_file = isinstance(file, dict) and file.keys() <= {"base64", "filename", "media_type"}
            if is_file and isinstance(text := file.get("base64"), str) and not is_base64(text):
                yield ArgumentProblem(f"{place}.base64", "is no base64")
