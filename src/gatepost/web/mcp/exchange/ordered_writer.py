"""Messages to one client, written one at a time and in the order in which they were given.

Whoever sends waits until the message has been written, and so cannot fill the memory. Whoever posts does not wait, so
of posted messages only so many are kept for a client that is slow to read; the oldest are dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import field
from typing import Final

from gatepost.late_dataclass import dataclass

MOST_POSTED: Final = 1024
"""How many posted messages wait."""
MOST_POSTED_BYTES: Final = 1024 * 1024
"""How many bytes they may have together; one that is longer waits alone."""

logger = logging.getLogger("gatepost.mcp")


@dataclass(slots=True, eq=False, repr=False)
class OrderedWriter:
    """The queue of one stream. How a message is written is for the stream to say: `_write`."""

    is_closed: bool = field(default=False, init=False)
    """Whether no more messages are taken."""
    _messages: deque[tuple[bytes, bool]] | None = field(default=None, init=False)
    """Each with whether it was posted. None at first: an empty deque takes 640 bytes, and most streams never queue."""
    _posted: int = field(default=0, init=False)
    _posted_bytes: int = field(default=0, init=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _flush_task: asyncio.Task[None] | None = field(default=None, init=False)

    async def send(self, message: bytes) -> None:
        """Write a message after all that was given before, and wait for that; nothing once the stream is closed."""
        if self.is_closed:
            return
        if not self._messages and not self._lock.locked():
            # The usual case: nothing is ahead of it, and what comes meanwhile waits for the lock.
            async with self._lock:
                await self._write(message)
            return
        self._queue(message, is_posted=False)
        await self._flush()

    def send_at_once(self, message: bytes) -> bool:
        """Write a message if nothing is ahead of it and it need not wait; say whether it was written."""
        return not (self.is_closed or self._messages or self._lock.locked()) and self._write_at_once(message)

    def post(self, message: bytes) -> None:
        """Write a message soon; nothing once the stream is closed. In the event loop."""
        if self.is_closed:
            return
        self._queue(message, is_posted=True)
        self._posted += 1
        self._posted_bytes += len(message)
        while self._posted > MOST_POSTED or (self._posted_bytes > MOST_POSTED_BYTES and self._posted > 1):
            self._drop_oldest_posted()
        if self._flush_task is None:
            self._flush_task = asyncio.get_running_loop().create_task(self._flush_posted())

    async def finish(self, message: bytes | None) -> None:
        """Write what is left and then the last message, if there is one. Nothing is taken any more."""
        if message is not None and not self.is_closed:
            self._queue(message, is_posted=False)
        self.is_closed = True
        await self._flush()

    async def keep_alive(self) -> None:
        """Send what shows that more is to come: a comment, or what the stream begins with."""
        raise NotImplementedError

    async def _write(self, message: bytes) -> None:
        raise NotImplementedError

    def _write_at_once(self, message: bytes) -> bool:
        """Do what `_write` does without waiting, if that can be; False, and nothing is written, where it cannot."""
        del message
        return False

    def _queue(self, message: bytes, *, is_posted: bool) -> None:
        if self._messages is None:
            self._messages = deque()
        self._messages.append((message, is_posted))

    async def _flush(self) -> None:
        async with self._lock:
            while self._messages:
                message, is_posted = self._messages.popleft()
                if is_posted:
                    self._posted -= 1
                    self._posted_bytes -= len(message)
                await self._write(message)

    async def _flush_posted(self) -> None:
        try:
            await self._flush()
        except Exception as error:  # noqa: BLE001 - the client is gone, which the request itself finds out
            logger.debug("a message could not be sent: %s", type(error).__name__)
        finally:
            self._flush_task = None

    def _drop_oldest_posted(self) -> None:
        assert self._messages is not None  # noqa: S101 - something is posted, so it is queued; tells mypy
        oldest = next(index for index, (_, is_posted) in enumerate(self._messages) if is_posted)
        self._posted -= 1
        self._posted_bytes -= len(self._messages[oldest][0])
        del self._messages[oldest]
