"""Cutting entries out of lists in JSON-RPC messages that somebody else wrote; all other bytes stay as they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any, Final

Keep = Callable[[str, Any], bool]
"""Says of an entry whether it stays, given the member that is the list, such as `tools`."""

_DECODER: Final = json.JSONDecoder()
_BLANKS: Final = " \t\n\r"
_BYTE_ORDER_MARK: Final = "\ufeff"


class UnreadableMessage(ValueError):
    """It is no JSON, or too deep: nobody knows what is in it."""


def cut_lists(message: bytes, members: Collection[str], keep: Keep) -> bytes:
    """Return a message, or an array of such, with the entries of its result's lists that stay.

    Where anything can be cut, a `cacheScope` of the result becomes `private`: the next caller may see other entries
    (2026-07-28 server/utilities/caching). A member that stands twice is cut in each place.

    Args:
        message: JSON in UTF-8.
        members: which members of the result are such lists.
        keep: is asked about each entry.

    Raises:
        UnreadableMessage: it cannot be read.
    """
    try:
        text = message.decode()
        return _Cutting(text, members, keep).run().encode()
    except (ValueError, IndexError, RecursionError) as error:
        raise UnreadableMessage("a message that may hold a list cannot be read") from error


class _Cutting:
    """One message on its way through. Raises ValueError or IndexError where it is no JSON."""

    def __init__(self, text: str, members: Collection[str], keep: Keep) -> None:
        self._text, self._members, self._keep = text, members, keep
        self._edits: list[tuple[int, int, str]] = []
        """From where to where something else is to stand, in order."""

    def run(self) -> str:
        start = self._next(len(_BYTE_ORDER_MARK) if self._text.startswith(_BYTE_ORDER_MARK) else 0)
        end = self._array(start, self._message) if self._text[start] == "[" else self._message(start)
        if self._text[end:].strip(_BLANKS):
            raise ValueError
        parts, after = [], 0
        for begin, stop, instead in self._edits:
            parts += [self._text[after:begin], instead]
            after = stop
        return "".join((*parts, self._text[after:]))

    def _message(self, at: int) -> int:
        return self._object(at, lambda name, start: self._result(start) if name == "result" else None)

    def _result(self, at: int) -> int | None:
        return self._object(at, self._in_result) if self._text[at] == "{" else None

    def _in_result(self, name: str, at: int) -> int | None:
        if name == "cacheScope":
            value, end = _DECODER.raw_decode(self._text, at)
            if value != "private":
                self._edits.append((at, end, '"private"'))
            return end
        return self._list(name, at) if name in self._members and self._text[at] == "[" else None

    def _list(self, member: str, at: int) -> int:
        kept: list[str] = []
        count = 0

        def entry(start: int) -> int:
            nonlocal count
            count += 1
            value, end = _DECODER.raw_decode(self._text, start)
            if self._keep(member, value):
                kept.append(self._text[start:end])
            return end

        end = self._array(at, entry)
        if len(kept) < count:
            self._edits.append((at, end, f"[{','.join(kept)}]"))
        return end

    def _object(self, at: int, visit: Callable[[str, int], int | None]) -> int:
        """Go through an object and return where it ends; `visit` returns where a value ends that it has read."""
        self._expect(at, "{")
        at = self._next(at + 1)
        if self._text[at] == "}":
            return at + 1
        while True:
            self._expect(at, '"')
            name, at = _DECODER.raw_decode(self._text, at)
            at = self._next(at)
            self._expect(at, ":")
            start = self._next(at + 1)
            end = visit(name, start)
            at = self._next(_DECODER.raw_decode(self._text, start)[1] if end is None else end)
            if self._text[at] == "}":
                return at + 1
            self._expect(at, ",")
            at = self._next(at + 1)

    def _array(self, at: int, visit: Callable[[int], int]) -> int:
        at = self._next(at + 1)
        if self._text[at] == "]":
            return at + 1
        while True:
            at = self._next(visit(at))
            if self._text[at] == "]":
                return at + 1
            self._expect(at, ",")
            at = self._next(at + 1)

    def _next(self, at: int) -> int:
        """Return the place of what follows the blanks; IndexError where nothing does is raised by who looks there."""
        while self._text[at : at + 1] in _BLANKS and at < len(self._text):
            at += 1
        return at

    def _expect(self, at: int, character: str) -> None:
        if self._text[at] != character:
            raise ValueError
