"""Write coalescing: what is written to a connection in one turn of the event loop is one system call.

An ASGI server writes the head of an answer and its body each as it comes, and while it does, others wait to be answered
whose requests came in the same turn. Over a network, head and body would often be two packets (record 0021).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

_MOST_BUFFERED: Final = 64 * 1024
"""Bytes. What is more goes out at once, so that whoever writes learns when the client does not keep up."""


class CoalescingTransport:
    """A transport that buffers what is written until the event loop has turned.

    Args:
        transport: where everything goes, and what everything else is asked of.
        loop: the event loop of the connection.
    """

    __slots__ = ("_buffer", "_loop", "_transport", "_write", "is_closing")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._write = transport.write
        self._buffer = b""
        self.is_closing: Callable[[], bool] = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        """Return what the transport itself has by that name."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write `data` soon, after what was written before it."""
        buffer = self._buffer
        if len(buffer) + len(data) > _MOST_BUFFERED:
            self._buffer = b""
            self._write(buffer + data)
        elif buffer:
            self._buffer = buffer + data
        elif data:
            self._buffer = data
            self._loop.call_soon(self._flush)

    def write_whole(self, data: bytes) -> None:
        """Write what nothing is to follow; at once, unless something waits that it can go out with."""
        if self._buffer:
            self.write(data)
        elif not self.is_closing():
            self._write(data)

    def close(self) -> None:
        """Write what is buffered, and close."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; what is buffered is lost, as all else that is not sent yet."""
        self._buffer = b""
        self._transport.abort()

    def _flush(self) -> None:
        buffer, self._buffer = self._buffer, b""
        if buffer and not self.is_closing():
            self._write(buffer)
