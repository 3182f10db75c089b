"""Values in paths, query strings, headers and cookies (OpenAPI 3.1.1, "Style Values", with RFC 6570).

`null`, and arrays and objects without a member, are undefined (RFC 6570 section 2.3): they are not sent. What is nested
deeper than a style says is sent as JSON, and in `deepObject` as `name[a][b]=…` and `name[0]=…`, as most servers read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import orjson

PATH_STYLES: Final = frozenset({"matrix", "label", "simple"})
QUERY_STYLES: Final = frozenset({"form", "spaceDelimited", "pipeDelimited", "deepObject"})
HEADER_STYLES: Final = frozenset({"simple"})
COOKIE_STYLES: Final = frozenset({"form"})
STYLES: Final[Mapping[str, frozenset[str]]] = {
    "path": PATH_STYLES,
    "query": QUERY_STYLES,
    "header": HEADER_STYLES,
    "cookie": COOKIE_STYLES,
}
DEFAULT_STYLES: Final[Mapping[str, str]] = {"path": "simple", "query": "form", "header": "simple", "cookie": "form"}

_DELIMITERS: Final[Mapping[str, str]] = {"form": ",", "spaceDelimited": "%20", "pipeDelimited": "%7C"}
# "allowReserved" lets these pass; what ends a query string, or a part of one, never does (Appendix C).
_RESERVED: Final = ":/?@!$'()*,;"
_TRIPLE: Final = re.compile(r"(%[0-9A-Fa-f]{2})")
_COOKIE: Final = "!#$&'()*+-./:<=>?@[]^_`{|}~"  # RFC 6265 section 4.1.1, cookie-octet, without "%"
_WHOLE: Final = 2.0**53


def scalar(value: Any) -> str:
    """Return a value as a text: JSON, without the quotes of a text (Appendix B)."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE:
        return str(int(value))
    return orjson.dumps(value).decode()


def path_part(name: str, value: Any, style: str, *, explode: bool) -> str:
    """Return what takes the place of `{name}` in a path, percent-encoded."""
    if style == "label":
        return _label(value, explode=explode)
    if style == "matrix":
        return _matrix(_quoted(name), value, explode=explode)
    return ",".join(_joined(value, explode=explode))


def query_parts(name: str, value: Any, style: str, *, explode: bool, allow_reserved: bool = False) -> list[str]:
    """Return the parts of a query string, such as `color=blue`; none for a value that is undefined."""
    key = _quoted(name)
    if style == "deepObject" and isinstance(value, (dict, list)):
        return [f"{place}={_quoted(scalar(one), allow_reserved)}" for place, one in _deep(key, value)]
    if isinstance(value, dict):
        pairs = [(_quoted(inner), _quoted(scalar(one), allow_reserved)) for inner, one in _members(value)]
        if explode:
            return [f"{inner}={one}" for inner, one in pairs]
        values = [text for pair in pairs for text in pair]
    elif isinstance(value, list):
        values = [_quoted(scalar(one), allow_reserved) for one in value if one is not None]
        if explode:
            return [f"{key}={one}" for one in values]
    else:
        return [] if value is None else [f"{key}={_quoted(scalar(value), allow_reserved)}"]
    return [f"{key}={_DELIMITERS.get(style, ',').join(values)}"] if values else []


def header_value(value: Any, *, explode: bool) -> str:
    """Return the value of a header, as it is: percent-encoding has no place there (Appendix D)."""
    if isinstance(value, dict):
        separator = "=" if explode else ","
        return ",".join(f"{name}{separator}{scalar(one)}" for name, one in _members(value))
    if isinstance(value, list):
        return ",".join(scalar(one) for one in value if one is not None)
    return scalar(value)


def cookies(name: str, value: Any, *, explode: bool) -> list[str]:
    """Return cookies, such as `color=blue`: several where a query string would have several parts (Appendix D)."""
    if isinstance(value, dict) and explode:
        return [f"{inner}={_cookie(scalar(one))}" for inner, one in _members(value)]
    if isinstance(value, list) and explode:
        return [f"{name}={_cookie(scalar(one))}" for one in value if one is not None]
    return [] if value is None else [f"{name}={_cookie(header_value(value, explode=False))}"]


def _cookie(text: str) -> str:
    return quote(text, safe=_COOKIE)


def _label(value: Any, *, explode: bool) -> str:
    values = _joined(value, explode=explode)
    return "".join(f".{one}" for one in values) if explode else f".{','.join(values)}"


def _matrix(key: str, value: Any, *, explode: bool) -> str:
    if explode and isinstance(value, dict):
        return "".join(f";{pair}" for pair in _joined(value, explode=True))
    if explode and isinstance(value, list):
        return "".join(f";{key}={one}" for one in _joined(value, explode=True))
    return f";{key}={','.join(_joined(value, explode=False))}"


def _joined(value: Any, *, explode: bool) -> list[str]:
    """Return the values of RFC 6570's simple expansion, percent-encoded, before they are joined."""
    if isinstance(value, dict):
        pairs = [(_quoted(name), _quoted(scalar(one))) for name, one in _members(value)]
        return [f"{name}={one}" for name, one in pairs] if explode else [text for pair in pairs for text in pair]
    if isinstance(value, list):
        return [_quoted(scalar(one)) for one in value if one is not None]
    return [] if value is None else [_quoted(scalar(value))]


def _members(value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((name, one) for name, one in value.items() if one is not None)


def _deep(place: str, value: Mapping[str, Any] | Sequence[Any]) -> Iterator[tuple[str, Any]]:
    items = value.items() if isinstance(value, Mapping) else enumerate(value)
    for name, one in items:
        inner = f"{place}%5B{_quoted(str(name))}%5D"
        if isinstance(one, (dict, list)):
            yield from _deep(inner, one)
        elif one is not None:
            yield inner, one


def _quoted(text: str, allow_reserved: bool = False) -> str:  # noqa: FBT001, FBT002 - said at each call by name above
    if not allow_reserved:
        return quote(text, safe="", errors="replace")
    parts = _TRIPLE.split(text)
    return "".join(part if position % 2 else quote(part, safe=_RESERVED) for position, part in enumerate(parts))
