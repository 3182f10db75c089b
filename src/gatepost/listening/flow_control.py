"""Flow control of a connection, as uvicorn's but for what it holds: most connections never wait to write.

uvicorn makes an `asyncio.Event` for each connection, which takes 900 bytes. Here there is one while a client does not
keep up (record 0092).
"""

from __future__ import annotations

import asyncio


class LightFlowControl:
    """In place of uvicorn's `FlowControl`, which has the same members."""

    __slots__ = ("_transport", "_writable", "read_paused", "write_paused")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._writable: asyncio.Event | None = None
        self.read_paused = False
        self.write_paused = False

    async def drain(self) -> None:
        """Wait until more may be written."""
        if self._writable is not None:
            await self._writable.wait()

    def pause_reading(self) -> None:
        """Read nothing more."""
        if not self.read_paused:
            self.read_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self.read_paused:
            self.read_paused = False
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """Have who writes wait."""
        if self._writable is None:
            self.write_paused = True
            self._writable = asyncio.Event()

    def resume_writing(self) -> None:
        """Have nobody wait any more."""
        if self._writable is not None:
            self.write_paused = False
            self._writable.set()
            self._writable = None
