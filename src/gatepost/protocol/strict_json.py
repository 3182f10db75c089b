"""JSON as this server takes it: bounded in depth and number size, and no member named twice (RFC 8259 section 4).

A repeated name is refused because readers disagree about it: a gateway that logs the first `"method"` and a server that
runs the last are told two different stories.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from gatepost.protocol.errors import InvalidRequest, ParseError

MAXIMUM_DEPTH = 64
"""How deep arrays and objects may nest, the message itself included."""
_LOWEST_INTEGER = -(2**63)
_HIGHEST_INTEGER = 2**64 - 1
_LONGEST_INTEGER = 20  # characters of either bound; a longer literal need not be converted to know that it is outside
_LARGE = 2.0**63


def load(raw: bytes) -> Any:
    """Return the value of a JSON document.

    Raises:
        ParseError: it is not JSON, not UTF-8, or has a number too large for a double.
        InvalidRequest: it nests deeper than `MAXIMUM_DEPTH`, names a member twice in one object, or has an integer that
            64 bits do not hold.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        # The decoder's own message quotes nothing, but it names offsets into what may be a credential; ours says less.
        raise ParseError("The body is not valid JSON in UTF-8.") from error
    names, has_large_number = _measure(value)
    if has_large_number or not _surely_unrepeated(raw, names):
        _check_exactly(raw)
    return value


def _measure(value: Any) -> tuple[int, bool]:
    """Return how many members the objects in `value` have, and whether a number may have lost precision.

    The decoder turns an integer that 64 bits do not hold into a double without a word. Such a double is at least 2^63
    in size; so is one that was written as a double, and the exact check tells the two apart.
    """
    names = 0
    large = False
    level = [value]
    for _ in range(MAXIMUM_DEPTH):
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is dict:
                names += len(item)
                below.extend(item.values())
            elif kind is list:
                below.extend(item)
            elif kind is float and not -_LARGE < item < _LARGE:
                large = True
        if not below:
            return names, large
        level = below
    if any(type(item) is dict or type(item) is list for item in level):
        raise InvalidRequest(f"The body nests deeper than {MAXIMUM_DEPTH} levels.")
    return names, large or any(type(item) is float and not -_LARGE < item < _LARGE for item in level)


def _surely_unrepeated(raw: bytes, names: int) -> bool:
    """Say whether counting alone proves that no object in `raw` names a member twice.

    Let M be the number of members written in the text and P (`names`) the number left after decoding. A repeated name
    makes the decoder drop a member, with all that lies in it, so P <= M, and P = M exactly when nothing is repeated.

    Each written member has a colon of its own after its name, and strings can only add more colons: the count of colons
    is at least M. If it equals P, then M <= P <= M, and nothing is repeated. Where strings hold colons (a URL, a time)
    the same argument runs on `":`, a quote and a colon: if no colon in the text follows white space, each member has
    one of its own again, since its name ends in a quote and its colon follows at once.
    """
    if raw.count(b":") == names:
        return True
    if raw.count(b'":') != names:
        return False
    return b" :" not in raw and b"\t:" not in raw and b"\n:" not in raw and b"\r:" not in raw


def _check_exactly(raw: bytes) -> None:
    """Read the document again, slowly, looking at each member and each integer as it was written."""
    try:
        json.loads(raw, object_pairs_hook=_refuse_repeated, parse_int=_refuse_wide)
    except RecursionError as error:
        # Only what a repeated name made the decoder drop can nest deeper than `_measure` allows.
        raise InvalidRequest(f"The body nests deeper than {MAXIMUM_DEPTH} levels.") from error


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise InvalidRequest("An object in the body names a member twice.")


def _refuse_wide(literal: str) -> None:
    if len(literal) > _LONGEST_INTEGER or not _LOWEST_INTEGER <= int(literal) <= _HIGHEST_INTEGER:
        raise InvalidRequest("An integer in the body does not fit into 64 bits.")
