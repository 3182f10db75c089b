"""From bytes as they come to lines, of which none is held in memory beyond the limit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

LINE_LIMIT: Final = 4 * 1024 * 1024
"""The longest message that is read, in bytes, its newline not counted."""


@dataclass(slots=True)
class LineSplitter:
    """Cuts a stream into lines."""

    limit: int = LINE_LIMIT
    _begun: bytearray = field(default_factory=bytearray)
    _is_skipping: bool = False

    def feed(self, chunk: bytes) -> list[bytes | None]:
        """Return the lines that end in this chunk, without newlines; None in place of each that exceeds the limit.

        The None comes as soon as the limit is passed, and the rest of that line is dropped as it arrives.
        """
        found: list[bytes | None] = []
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            self._add(part, found)
            if not self._is_skipping:
                found.append(bytes(self._begun))
            self._begun.clear()
            self._is_skipping = False
        self._add(rest, found)
        return found

    def end(self) -> list[bytes | None]:
        """Return what stood behind the last newline: the stream has ended."""
        return [bytes(self._begun)] if self._begun else []

    def _add(self, part: bytes, found: list[bytes | None]) -> None:
        if self._is_skipping:
            return
        if len(self._begun) + len(part) > self.limit:
            self._is_skipping = True
            self._begun.clear()
            found.append(None)
            return
        self._begun += part
