"""Answers that reach the network whole: head and body in one write.

An ASGI server is handed the head of an answer and then its body, and writes each as it comes: two system calls, and
often two packets, for what is a few hundred bytes together. Nearly always the body is there before the event loop turns
again, so for that long the head can wait for it (record 0021).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

_HEAD: Final = b"HTTP/1.1 "


class WholeAnswers:
    """A transport that holds the head of an answer until its body comes, or until the event loop has turned.

    Args:
        transport: where everything goes, and what everything else is asked of.
        loop: the event loop of the connection.
    """

    __slots__ = ("_head", "_loop", "_transport", "_write", "is_closing")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._write = transport.write
        self._head: bytes | None = None
        self.is_closing: Callable[[], bool] = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        """Return what the transport itself has by that name."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write `data`, with the head that waits for it."""
        head = self._head
        if head is not None:
            self._head = None
            self._write(head + data)
        elif data.startswith(_HEAD):
            self._head = data
            self._loop.call_soon(self._flush)
        else:
            self._write(data)

    def close(self) -> None:
        """Write what waits, and close."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; what waits is lost, as all else that is not sent yet."""
        self._head = None
        self._transport.abort()

    def _flush(self) -> None:
        head, self._head = self._head, None
        if head is not None and not self.is_closing():
            self._write(head)
