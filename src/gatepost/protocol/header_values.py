"""Header values that mirror the body: their encoding, and the tool arguments that have them, by `x-mcp-header`.

2026-07-28 basic/transports/streamable-http, "Value Encoding" and "Custom Headers from Tool Parameters".
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import HeaderMismatch

ANNOTATION: Final = "x-mcp-header"

_HEADER_PREFIX: Final = b"mcp-param-"
TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110 section 5.6.2
_TYPES: Final = frozenset({"string", "integer", "boolean"})
_WHOLE_NUMBER: Final = re.compile(r"(-?[0-9]{1,30})(?:\.0{1,30})?")

_LARGEST: Final = 2**53 - 1
"""Of the integers that headers may mirror, either way from zero: JavaScript tells them apart."""

_DATA: Final = frozenset({"const", "default", "enum", "examples", ANNOTATION})
_SCHEMAS_BY_NAME: Final = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"})
_PREFIX = "=?base64?"
_SUFFIX = "?="
_WHITE_SPACE = b" \t"
_PLAIN = re.compile(r"[\t\x20-\x7e]*")  # RFC 9110 section 5.5, without the obsolete rest


def plain_header_value(raw: bytes) -> str | None:
    """Return a header value as text, or None when it holds more than visible ASCII, space and tab.

    White space around a value is not part of it (RFC 9110 section 5.5).
    """
    try:
        value = raw.strip(_WHITE_SPACE).decode("ascii")
    except UnicodeDecodeError:
        return None
    return value if _PLAIN.fullmatch(value) else None


def decode_header_value(raw: bytes) -> str | None:
    """Return what the value of `Mcp-Name` or `Mcp-Param-*` stands for, or None when it is malformed.

    These two may be written `=?base64?...?=`. Base64 has one spelling per value here: a second one for the same bytes
    would let two headers that look different mean the same.
    """
    value = plain_header_value(raw)
    if value is None or not (value.startswith(_PREFIX) and value.endswith(_SUFFIX, len(_PREFIX))):
        return value
    encoded = value[len(_PREFIX) : -len(_SUFFIX)]
    try:
        decoded = base64.b64decode(encoded, validate=True)
        text = decoded.decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return text if base64.b64encode(decoded).decode() == encoded else None


def encode_header_value(text: str) -> str:
    """Return how a text is written in `Mcp-Name` or `Mcp-Param-*`: as it is if headers can hold it, else in Base64."""
    is_plain = _PLAIN.fullmatch(text) is not None and text == text.strip(" \t")
    if is_plain and not (text.startswith(_PREFIX) and text.endswith(_SUFFIX)):
        return text
    return _PREFIX + base64.b64encode(text.encode()).decode() + _SUFFIX


class InvalidAnnotation(ValueError):
    """An `x-mcp-header` that clients would refuse the whole tool for. The message says which and why."""


@dataclass(frozen=True, slots=True)
class MirroredArgument:
    """An argument that has to stand in a header, too."""

    header: bytes
    """Its name in lower case."""
    path: tuple[str, ...]
    """The members that lead to it from the arguments."""


def mirrored_arguments(schema: Mapping[str, Any]) -> tuple[MirroredArgument, ...]:
    """Return the arguments that an input schema has mirrored; raises InvalidAnnotation if that is not as specified."""
    found = tuple(_found(schema, path=(), is_reachable=True))
    headers = [mirrored.header for mirrored in found]
    for header in headers:
        if headers.count(header) > 1:
            name = header.removeprefix(_HEADER_PREFIX).decode()
            raise InvalidAnnotation(f"{ANNOTATION} {name!r} stands at two arguments; case does not count")
    return found


def mirrors_of(mirrored: Iterable[MirroredArgument], arguments: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers that mirror arguments ("Client Behavior"); none for an argument that is absent or null."""
    headers: dict[str, str] = {}
    for mirror in mirrored:
        value = _value_at(mirror.path, arguments)
        if type(value) is bool:
            headers[mirror.header.decode()] = "true" if value else "false"
        elif type(value) in (int, str):
            headers[mirror.header.decode()] = encode_header_value(str(value))
    return headers


def check_mirrors(
    mirrored: Iterable[MirroredArgument], arguments: Mapping[str, Any], headers: Mapping[bytes, bytes]
) -> None:
    """Compare mirrored arguments, not validated yet, with their headers ("Server Behavior for Custom Headers").

    Names of headers are in lower case. Raises HeaderMismatch for one that is missing, malformed or says something else.
    """
    for mirror in mirrored:
        raw = headers.get(mirror.header)
        value = _value_at(mirror.path, arguments)
        name = mirror.header.decode()
        if value is None:
            # The body has nothing there, or null: then a header that says something disagrees with it.
            if raw is not None:
                raise HeaderMismatch(f"The header {name} mirrors an argument that the body does not have.")
            continue
        if raw is None:
            raise HeaderMismatch(f"The header {name} is missing.")
        if type(value) is int and abs(value) > _LARGEST:
            raise HeaderMismatch(f"The header {name} mirrors a number beyond those that headers may mirror.")
        text = decode_header_value(raw)
        if text is None:
            raise HeaderMismatch(f"The header {name} is malformed.")
        if not _is_same(text, value):
            raise HeaderMismatch(f"The header {name} differs from the argument that it mirrors.")


def _found(schema: Any, *, path: tuple[str, ...], is_reachable: bool) -> Iterator[MirroredArgument]:
    if isinstance(schema, dict):
        if ANNOTATION in schema:
            yield _mirrored(schema, path, is_reachable=is_reachable)
        for name, member in schema.get("properties", {}).items():
            yield from _found(member, path=(*path, name), is_reachable=is_reachable)
    for keyword, inner in subschemas(schema):
        if keyword != "properties":
            yield from _found(inner, path=path, is_reachable=False)


def subschemas(schema: Any) -> Iterator[tuple[str, Any]]:
    """Yield what is inside a JSON Schema, or a list of them, and may be a schema; with the keyword it stands under."""
    if isinstance(schema, list):
        yield from (("", inner) for inner in schema)
    elif isinstance(schema, dict):
        for keyword, inner in schema.items():
            if keyword in _SCHEMAS_BY_NAME and isinstance(inner, dict):
                yield from ((keyword, named) for named in inner.values())
            elif keyword not in _DATA:
                yield keyword, inner


def _mirrored(schema: Mapping[str, Any], path: tuple[str, ...], *, is_reachable: bool) -> MirroredArgument:
    name = schema[ANNOTATION]
    if not path or not is_reachable:
        raise InvalidAnnotation(
            f"{ANNOTATION} {name!r} stands where no header can reach: only arguments themselves and members of objects "
            "may have it, not items of lists, alternatives or definitions"
        )
    where = ".".join(path)
    if type(name) is not str or not TOKEN.fullmatch(name):
        raise InvalidAnnotation(f"{where}: {ANNOTATION} {name!r} is no part of a header's name (RFC 9110 section 5.1)")
    if schema.get("type") not in _TYPES:
        raise InvalidAnnotation(f"{where}: {ANNOTATION} takes a str, int or bool, without None or other alternatives")
    return MirroredArgument(_HEADER_PREFIX + name.lower().encode(), path)


def _value_at(path: tuple[str, ...], arguments: Mapping[str, Any]) -> Any:
    value: Any = arguments
    for name in path:
        if type(value) is not dict:
            return None
        value = value.get(name)
    return value


def _is_same(text: str, value: Any) -> bool:
    if type(value) is str:
        return text == value
    if type(value) is bool:
        return text == ("true" if value else "false")
    # Integers are compared as numbers: 42.0 is 42.
    number = _WHOLE_NUMBER.fullmatch(text)
    if type(value) in (int, float):
        return number is not None and int(number[1]) == value
    # Lists and objects do not fit the schema, which the validation of the arguments is about to say.
    return True
