"""Server-sent events, cut out of a response as it comes (WHATWG HTML, "Interpreting an event stream")."""

from __future__ import annotations

from dataclasses import field
from typing import Final

from gatepost.late_dataclass import dataclass
from gatepost.stdio.streams import LineSplitter

_LONGEST_PAUSE_DIGITS: Final = 9
_MARK: Final = b"\xef\xbb\xbf"


class MessageTooLong(Exception):
    """An event is longer than the limit."""


@dataclass(slots=True)
class ReceivedEvents:
    """Takes the chunks of one response, and gives the data of its events."""

    limit: int
    """The longest event, in bytes."""
    last_event_id: str = ""
    """Of the last whole event that had one, or as before this response; empty for none."""
    retry: float | None = None
    """Seconds after which the server wants to be asked for the rest of a stream that broke; None if it did not say."""
    _lines: LineSplitter = field(init=False)
    _data: list[bytes] = field(default_factory=list[bytes], init=False)
    _size: int = field(default=0, init=False)
    _event_id: str = field(init=False)
    _name: bytes = field(default=b"", init=False)
    _is_after_return: bool = field(default=False, init=False)
    _is_begun: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._lines = LineSplitter(self.limit)
        self._event_id = self.last_event_id

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of the events that end in this chunk; of those without data only their id is kept.

        Raises MessageTooLong.
        """
        found: list[bytes] = []
        for line in self._lines.feed(self._with_newlines(chunk)):
            if line is None:
                raise MessageTooLong
            if not self._is_begun:
                self._is_begun = True
                line = line.removeprefix(_MARK)  # noqa: PLW2901 - the mark is no part of the line
            if line:
                self._take_field(line)
            else:
                self._end_event(found)
        return found

    def _with_newlines(self, chunk: bytes) -> bytes:
        """Return a chunk with its line ends as newlines; they may also be carriage returns, alone or in front."""
        if self._is_after_return:
            chunk = chunk.removeprefix(b"\n")
        self._is_after_return = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in chunk else chunk

    def _take_field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._size += len(value)
            if self._size > self.limit:
                raise MessageTooLong
            self._data.append(value)
        elif name == b"id":
            if b"\0" not in value:
                self._event_id = value.decode(errors="replace")
        elif name == b"event":
            self._name = value
        elif name == b"retry" and value.isdigit() and len(value) <= _LONGEST_PAUSE_DIGITS:
            self.retry = int(value) / 1000

    def _end_event(self, found: list[bytes]) -> None:
        self.last_event_id = self._event_id
        data = b"\n".join(self._data)
        # Events of other names are none of MCP's.
        if data and self._name in (b"", b"message"):
            found.append(data)
        self._data.clear()
        self._size, self._name = 0, b""
