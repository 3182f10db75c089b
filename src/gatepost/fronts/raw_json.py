"""Raw JSON: the messages of a server in their own spelling, taken apart at the top and otherwise left alone.

A value that is decoded and encoded again may lose digits, members and order. So results stay the bytes that they were
(`Fragment`), and what a bridge has to add is put in beside what is there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson

from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import RequestId
from gatepost.protocol.json_encoding import encode


class NotAMessage(ValueError):
    """A line or body that is no JSON-RPC message."""


@dataclass(slots=True)
class Answer:
    """The answer to a request of ours."""

    id: RequestId
    result: bytes | None
    """JSON, on one line."""
    error: dict[str, Any] | None
    """Exactly one of the two is there."""


@dataclass(slots=True)
class ServerRequest:
    """A request of the server to its client."""

    id: RequestId
    method: str
    params: dict[str, Any]


@dataclass(slots=True)
class ServerNotification:
    """A notification of the server."""

    method: str
    params: dict[str, Any]
    raw: bytes
    """All of the message, on one line."""


ServerMessage = Answer | ServerRequest | ServerNotification


def _refuse(literal: str) -> None:
    raise ValueError(literal)


# The two spellings of nearly every answer: of the Python and the TypeScript SDK. Both say all members but the result
# before or behind it, so if what is left is one JSON value, it is the result.
_BEFORE: Final = re.compile(rb'\{"jsonrpc": ?"2\.0", ?"id": ?([0-9]{1,18}), ?"result": ?(?=\{)')
_BEHIND: Final = re.compile(rb', ?"jsonrpc": ?"2\.0", ?"id": ?([0-9]{1,18})\}')
_LONGEST_END: Final = 64
_RESULT_FIRST: Final = b'{"result":'

# Integers of any length are left to whoever reads the slices.
_DECODER: Final = json.JSONDecoder(parse_int=float, parse_constant=_refuse)


def read_message(line: bytes) -> ServerMessage:
    """Return what a server sent; raises NotAMessage."""
    if b"\r" in line or b"\n" in line:
        # Texts have no raw line ends, so these stand between values; events and lines have none.
        line = line.replace(b"\r", b" ").replace(b"\n", b" ")
    return _plain_answer(line) or _any_message(line.strip())


def decoded(raw: bytes) -> dict[str, Any]:
    """Return what a JSON object says, for the few of which more than the bytes is needed."""
    value: dict[str, Any] = json.loads(raw)
    return value


def members_of(text: str) -> dict[str, str]:
    """Return the members of a JSON object on one line, each in its own spelling.

    Raises ValueError: it is none, or it names a member twice.
    """
    found: dict[str, str] = {}
    index = _space(text, _expect(text, _space(text, 0), "{"))
    while text[index : index + 1] != "}":
        if found:
            index = _space(text, _expect(text, index, ","))
        name, index = _DECODER.raw_decode(text, index)
        if type(name) is not str or name in found:
            raise ValueError(name)
        start = _space(text, _expect(text, _space(text, index), ":"))
        _, end = _DECODER.raw_decode(text, start)
        found[name] = text[start:end]
        index = _space(text, end)
    if text[index + 1 :].strip(" \t"):
        raise ValueError(text[index + 1 :][:1])
    return found


def with_entries(raw: bytes, member: str, keeps: Callable[[Any], bool]) -> bytes:
    """Return a JSON object with those entries of one of its lists that `keeps` says yes to, each as it is spelled.

    An object without such a list stays as it is. Raises ValueError: it is no object.
    """
    members = members_of(raw.decode())
    entries = members.get(member, "")
    if not entries.startswith("["):
        return raw
    kept = [spelled for entry, spelled in entries_of(entries) if keeps(entry)]
    members[member] = f"[{','.join(kept)}]"
    return object_of(members).encode()


def made_private(raw: bytes) -> bytes:
    """Return a JSON object whose `cacheScope`, if it has one, is `private`; raises ValueError: it is no object."""
    if b"cacheScope" not in raw and b"\\u00" not in raw:
        return raw
    members = members_of(raw.decode())
    if "cacheScope" not in members:
        return raw
    return object_of({**members, "cacheScope": '"private"'}).encode()


def entries_of(text: str) -> Iterator[tuple[Any, str]]:
    """Yield the entries of a JSON array on one line: what each says, and how it is spelled; raises ValueError."""
    index = _space(text, _expect(text, 0, "["))
    while text[index : index + 1] != "]":
        entry, end = _DECODER.raw_decode(text, index)
        yield entry, text[index:end]
        index = _space(text, end)
        if text[index : index + 1] == ",":
            index = _space(text, index + 1)


def object_of(members: Mapping[str, str]) -> str:
    """Return a JSON object of members that are JSON already."""
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in members.items()) + "}"


class Additions:
    """What a JSON object gets as far as it lacks it: members, and in `_meta` others. Built once for many objects.

    Args:
        added: the members.
        meta: those of `_meta`.
    """

    __slots__ = ("_first", "_members", "_meta", "_names")

    def __init__(self, added: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
        self._members = {name: encode(value).decode() for name, value in added.items()}
        self._meta = {name: encode(value).decode() for name, value in meta.items()}
        self._names = tuple(b'"%b"' % name.encode() for name in ("_meta", *added))
        self._first = encode({**added, "_meta": meta})[:-1]

    def put_into(self, raw: bytes) -> bytes:
        """Return a JSON object with all of it.

        What it has stays as it is spelled; so does a `_meta` that is no object.

        Raises ValueError: it is no object.
        """
        if b"\\u00" not in raw and not self._may_be_in(raw):
            # Nothing of all that is anywhere in it, however it is spelled: the usual case.
            rest = raw.lstrip()[1:].lstrip()
            return b"%b%b%b" % (self._first, b"" if rest == b"}" else b",", rest)
        members = members_of(raw.decode())
        for name, value in self._members.items():
            members.setdefault(name, value)
        own = members.get("_meta", "{}")
        if own.startswith("{"):
            inner = members_of(own)
            for name, value in self._meta.items():
                inner.setdefault(name, value)
            members["_meta"] = object_of(inner)
        return object_of(members).encode()

    def _may_be_in(self, raw: bytes) -> bool:
        for name in self._names:  # noqa: SIM110 - for each call; a generator takes longer than the search
            if name in raw:
                return True
        return False


def _space(text: str, index: int) -> int:
    while text[index : index + 1] in (" ", "\t"):
        index += 1
    return index


def _expect(text: str, index: int, character: str) -> int:
    if text[index : index + 1] != character:
        raise ValueError(character)
    return index + 1


def _plain_answer(line: bytes) -> Answer | None:
    """Return an answer of one of the usual spellings; None says nothing."""
    before = _BEFORE.match(line)
    if before is not None:
        raw, number = line[before.end() : -1], before[1]
        if line[-1:] != b"}":
            return None
    elif line.startswith(_RESULT_FIRST):
        behind = _BEHIND.search(line, max(0, len(line) - _LONGEST_END))
        if behind is None or behind.end() != len(line):
            return None
        raw, number = line[len(_RESULT_FIRST) : behind.start()], behind[1]
    else:
        return None
    try:
        is_object = type(orjson.loads(raw)) is dict
    except ValueError:
        return None
    return Answer(int(number), raw, None) if is_object else None


def _any_message(line: bytes) -> ServerMessage:
    try:
        members = members_of(line.decode())
        method = members.get("method")
        given = members.get("id")
        identifier = None if given is None else json.loads(given)
        if method is not None:
            return _said_by_itself(line, json.loads(method), identifier, members.get("params"))
        if not isinstance(identifier, int | str) or isinstance(identifier, bool):
            raise NotAMessage("an answer without an id")
        if "error" in members:
            error = json.loads(members["error"])
            if type(error) is dict and type(error.get("code")) is int and type(error.get("message")) is str:
                return Answer(identifier, None, error)
        elif members.get("result", "").startswith("{"):
            return Answer(identifier, members["result"].encode(), None)
    except (ValueError, RecursionError) as error:
        raise NotAMessage(f"no JSON-RPC message: {type(error).__name__}") from None
    raise NotAMessage("neither a request nor a notification nor an answer")


def _said_by_itself(line: bytes, method: Any, identifier: Any, params: str | None) -> ServerMessage:
    given = {} if params is None or params == "null" else json.loads(params)
    if type(method) is not str or type(given) is not dict:
        raise NotAMessage("its method is no text, or its params are no object")
    if identifier is None:
        return ServerNotification(method, given, line)
    if type(identifier) not in (int, str):
        raise NotAMessage("its id is neither an integer nor a text")
    return ServerRequest(identifier, method, given)
