"""Strict JSON, the one taken here: bounded in depth, number size and work, no member named twice (RFC 8259 section 4).

A repeated name is refused because readers disagree about it: a gateway that logs the first `"method"` and a server that
runs the last are told two different stories.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Any

import orjson

from gatepost.protocol.errors import InvalidJsonRpcRequest, ParseError

MAXIMUM_DEPTH = 64
"""How deep arrays and objects may nest, the message itself included."""
MOST_VALUES = 200_000
"""How many values are looked at one by one. A message that the decoder reads and the encoder writes back in one go, and
that cannot nest too deep, may have more."""
_LOWEST_INTEGER = -(2**63)
_HIGHEST_INTEGER = 2**64 - 1
_MAY_BE_JSON = re.compile(rb"\\u[dD][89a-fA-F]|[eE]\+?[0-9]{2}|[0-9]{308}")
"""What a document has that is JSON to its grammar and nothing to the decoder."""


class CannotBeRead(InvalidJsonRpcRequest):
    """It is JSON by its grammar, with a value that readers disagree about (record 0042)."""

    def __init__(self, message: str, document: Any) -> None:
        super().__init__(message)
        self.document = document
        """All the same, for what else it says: its id."""


def load(raw: bytes) -> Any:
    """Return the value of a JSON document, perhaps behind a byte order mark (RFC 8259 section 8.1).

    Raises:
        ParseError: it is not JSON, or not UTF-8.
        CannotBeRead: it has half a surrogate pair, an integer that 64 bits do not hold, or another number that is too
            large for a double.
        InvalidJsonRpcRequest: it nests deeper than `MAXIMUM_DEPTH`, names a member twice in one object, or has more
            than `MOST_VALUES` values to look at.
    """
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _refusal_of(raw) from error
    # 1. Depth. A document without that many brackets cannot nest that deep, whatever its strings hold.
    if raw.count(b"{") + raw.count(b"[") > MAXIMUM_DEPTH:
        _check_depth(value)
    # 2. Loss. Of two members with one name the decoder keeps the last, and of an integer that 64 bits do not hold the
    #    first digits, both without a word. What was lost cannot be written again. If writing the value gives the very
    #    bytes that were read, nothing was lost: an object is written with each name once, and a number that became a
    #    double is written as one, with a point or an exponent. Most clients write as compactly as the encoder does.
    written = orjson.dumps(value)
    if written != raw and not _differs_in_spaces_only(written, raw):
        _check_exactly(raw, value)
    return value


def _refusal_of(raw: bytes) -> ParseError | CannotBeRead:
    """Return why the decoder did not take a document."""
    # The decoder's own message quotes nothing, but it names offsets into what may be a credential; ours says less.
    malformed = ParseError("The body is not valid JSON in UTF-8.")
    if _MAY_BE_JSON.search(raw) is None:
        return malformed
    try:
        document = json.loads(raw, parse_constant=_refuse_constant, parse_int=float)
    except (ValueError, RecursionError):
        return malformed
    # As doubles no integer is too long, and an id is exact below this bound.
    identifier = document.get("id") if type(document) is dict else None
    if type(identifier) is float and identifier.is_integer() and abs(identifier) < 2**53:
        document["id"] = int(identifier)
    if not _is_writable(document):
        return CannotBeRead("A text in the body has half of a surrogate pair (RFC 8259 section 8.2).", document)
    return CannotBeRead("A number in the body is too large for a double (RFC 8259 section 6).", document)


def _is_writable(document: Any) -> bool:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(_literal: str) -> None:
    raise ValueError


def _differs_in_spaces_only(written: bytes, raw: bytes) -> bool:
    """Say whether `raw` surely says no more than what was written of it; False says nothing.

    Clients that do not write compactly nearly all put one space after colons and commas. Taking those out first proves
    as much: numbers do not change, a string may, but two equal names stay equal, so names that all differ afterwards
    differed before.
    """
    return written == raw.replace(b": ", b":").replace(b", ", b",")


def _check_depth(value: Any) -> None:
    """Go down the levels of a value, and no deeper than it may have."""
    level = [value]
    seen = 0
    for _ in range(MAXIMUM_DEPTH + 1):
        containers = [item for item in level if type(item) is dict or type(item) is list]
        if not containers:
            return
        seen += sum(map(len, containers))
        if seen > MOST_VALUES:
            raise _too_many_values()
        level = [item for found in containers for item in (found.values() if type(found) is dict else found)]
    raise InvalidJsonRpcRequest(f"The body nests deeper than {MAXIMUM_DEPTH} levels.")


def _check_exactly(raw: bytes, value: Any) -> None:
    """Read the document again, slowly, looking at each member and each integer as it was written."""
    try:
        _ExactReading(value).decode(raw.decode())
    except RecursionError as error:
        # Only what a repeated name made the decoder drop can still nest deeper than it may.
        raise InvalidJsonRpcRequest(f"The body nests deeper than {MAXIMUM_DEPTH} levels.") from error


class _ExactReading:
    """One reading of one document, which counts what it looks at."""

    def __init__(self, value: Any) -> None:
        self._value = value
        self._members = 0
        self._integers = 0
        decoder = json.JSONDecoder(object_pairs_hook=self._refuse_repeated, parse_int=self._refuse_wide)
        self.decode = decoder.decode

    def _refuse_repeated(self, pairs: list[tuple[str, Any]]) -> None:
        # An object counts even if it is empty: a million of those are work too.
        self._members += len(pairs) + 1
        if self._members > MOST_VALUES:
            raise _too_many_values()
        if len({name for name, _ in pairs}) != len(pairs):
            raise InvalidJsonRpcRequest("An object in the body names a member twice.")

    def _refuse_wide(self, literal: str) -> None:
        self._integers += 1
        if self._integers > MOST_VALUES:
            raise _too_many_values()
        # The decoder has taken it for a double, so it has no more than 310 characters.
        if not _LOWEST_INTEGER <= int(literal) <= _HIGHEST_INTEGER:
            raise CannotBeRead("An integer in the body does not fit into 64 bits; send it as a text.", self._value)


def _too_many_values() -> InvalidJsonRpcRequest:
    return InvalidJsonRpcRequest(f"The body has more than {MOST_VALUES} values.")
