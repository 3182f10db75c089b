"""What waits to be sent to one client.

Whoever sends and waits cannot fill the memory: each has one message here. Whoever posts does not wait, so of posted
messages only so many are kept for a client that is slow; the oldest are given up.
"""

from __future__ import annotations

from collections import deque
from typing import Final

MOST_POSTED: Final = 1024
"""How many posted messages wait."""
MOST_POSTED_BYTES: Final = 1024 * 1024
"""How many bytes they may have together; one that is longer waits alone."""


class Outgoing:
    """Messages in the order in which they were given."""

    __slots__ = ("_messages", "_posted", "_posted_bytes")

    def __init__(self) -> None:
        self._messages: deque[tuple[bytes, bool]] = deque()
        self._posted = 0
        self._posted_bytes = 0

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._messages)

    def put(self, message: bytes) -> None:
        """Add a message that somebody waits to see sent."""
        self._messages.append((message, False))

    def post(self, message: bytes) -> None:
        """Add a message that nobody waits for."""
        self._messages.append((message, True))
        self._posted += 1
        self._posted_bytes += len(message)
        while self._posted > MOST_POSTED or (self._posted_bytes > MOST_POSTED_BYTES and self._posted > 1):
            self._give_up_oldest()

    def take(self) -> bytes:
        """Take the first message out; there has to be one."""
        message, is_posted = self._messages.popleft()
        if is_posted:
            self._posted -= 1
            self._posted_bytes -= len(message)
        return message

    def _give_up_oldest(self) -> None:
        oldest = next(index for index, (_, is_posted) in enumerate(self._messages) if is_posted)
        self._posted -= 1
        self._posted_bytes -= len(self._messages[oldest][0])
        del self._messages[oldest]
