"""The two streams: taken away from everybody else, read and written by threads of their own.

Threads, because standard streams may be files, terminals or pipes, and only threads can wait for all of them on every
system. They are daemons that hold no lock of Python's own streams, so that none of them keeps the process from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import field
from typing import Final, Protocol

from gatepost.late_dataclass import dataclass

_CHUNK: Final = 64 * 1024
_CHUNKS_AHEAD: Final = 16
_SLOW: Final = 1024 * 1024
"""From so many unwritten bytes on, those who can wait do."""
_TOO_SLOW: Final = 16 * 1024 * 1024
"""From so many unwritten bytes on, what is posted by those who cannot wait is dropped."""
LINE_LIMIT: Final = 4 * 1024 * 1024
"""The longest message that is read, in bytes, its newline not counted."""


class Outlet(Protocol):
    """Where lines go to the client."""

    async def send(self, message: bytes) -> None:
        """Send a message, and wait while the client is slow to read."""
        ...

    def post(self, message: bytes) -> None:
        """Send a message without waiting; from any thread. Dropped if the client is far behind."""
        ...


@contextlib.contextmanager
def standard_streams() -> Iterator[tuple[int, int]]:
    """Take standard input and output for the protocol; return the file descriptors to read from and to write to.

    Until the block ends, whatever else uses them meets an empty input and writes to standard error: `print`, libraries
    in C and child processes alike.
    """
    sys.stdout.flush()
    reading, writing = os.dup(0), os.dup(1)
    empty = os.open(os.devnull, os.O_RDONLY)
    try:
        os.dup2(empty, 0)
        os.dup2(2, 1)
        with contextlib.redirect_stdout(sys.stderr):
            yield reading, writing
    finally:
        os.dup2(reading, 0)
        os.dup2(writing, 1)
        for descriptor in (reading, writing, empty):
            os.close(descriptor)


class Inlet:
    """Reads a file descriptor chunk by chunk, and never far ahead of who processes them. Made in the event loop."""

    def __init__(self, descriptor: int) -> None:
        # A descriptor of the thread's own: it may still wait in it when the given one is closed and its number reused.
        self._descriptor = os.dup(descriptor)
        self._loop = asyncio.get_running_loop()
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self._room = threading.Semaphore(_CHUNKS_AHEAD)
        threading.Thread(target=self._read, name="gatepost-stdin", daemon=True).start()

    async def read(self) -> bytes:
        """Return what came next; nothing at the end."""
        chunk = await self._chunks.get()
        self._room.release()
        return chunk

    def _read(self) -> None:
        chunk = b"-"
        # A loop that is closed no longer wants to know.
        with contextlib.suppress(RuntimeError):
            while chunk:
                self._room.acquire()
                try:
                    chunk = os.read(self._descriptor, _CHUNK)
                except OSError:
                    chunk = b""
                self._loop.call_soon_threadsafe(self._chunks.put_nowait, chunk)
        os.close(self._descriptor)


@dataclass(slots=True)
class LineSplitter:
    """Cuts a stream into lines, of which none is held in memory beyond the limit."""

    limit: int = LINE_LIMIT
    _begun: bytearray = field(default_factory=bytearray)
    _is_skipping: bool = False

    def feed(self, chunk: bytes) -> list[bytes | None]:
        """Return the lines that end in this chunk, without newlines; None in place of each that exceeds the limit.

        The None comes as soon as the limit is passed, and the rest of that line is dropped as it arrives.
        """
        found: list[bytes | None] = []
        *ended, rest = chunk.split(b"\n")
        if not self._begun and not self._is_skipping and len(chunk) <= self.limit:
            # Whole lines, as nearly all chunks are: nothing to put together, and none of them is too long.
            self._begun += rest
            found += ended
            return found
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


class Writer:
    """Writes lines to a file descriptor. Made in the event loop.

    Args:
        descriptor: what to write to.
        on_gone: called in the event loop when the client reads no more; what is sent from then on is dropped.
    """

    def __init__(self, descriptor: int, on_gone: Callable[[], None]) -> None:
        self._descriptor = os.dup(descriptor)
        self._on_gone = on_gone
        self._loop = asyncio.get_running_loop()
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._counting = threading.Lock()
        self._unwritten = 0
        self._progress = asyncio.Event()
        self._done = asyncio.Event()
        threading.Thread(target=self._write, name="gatepost-stdout", daemon=True).start()

    async def send(self, message: bytes) -> None:
        self._put(message)
        while self._unwritten > _SLOW and not self._done.is_set():
            self._progress.clear()
            await self._progress.wait()

    def post(self, message: bytes) -> None:
        if self._unwritten <= _TOO_SLOW:
            self._put(message)

    async def finish(self, seconds: float) -> None:
        """Write what is left, for so many seconds at most."""
        self._lines.put(None)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._done.wait(), seconds)

    def _put(self, message: bytes) -> None:
        with self._counting:
            self._unwritten += len(message)
        self._lines.put(message)

    def _write(self) -> None:
        is_gone = False
        while not is_gone and (message := self._lines.get()) is not None:
            try:
                _write_all(self._descriptor, message + b"\n")
            except OSError:
                is_gone = True
            with self._counting:
                self._unwritten -= len(message)
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._progress.set)
        os.close(self._descriptor)
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ended, is_gone)

    def _ended(self, is_gone: bool) -> None:  # noqa: FBT001 - called by the loop, which passes by position
        self._done.set()
        self._progress.set()
        if is_gone:
            self._on_gone()


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
