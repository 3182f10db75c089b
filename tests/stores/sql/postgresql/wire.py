"""What goes over the wire to PostgreSQL: a proxy on loopback that counts round trips, and falls silent when told to.

A round trip is an answer that begins after something was asked. What goes to and fro until the first ReadyForQuery
(PostgreSQL section 55.7) begins a connection, and is counted as that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

_READY = ord("Z")


class Wire:
    """A proxy; `url` is that of the store through it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "", parts.port or 5432)
        self._url = url
        self._port = 0
        self.round_trips = 0
        self.connections = 0
        self._goes_on = asyncio.Event()
        self._goes_on.set()
        self._hears = asyncio.Event()
        self._hears.set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        parts = urlsplit(self._url)
        user, at, _ = parts.netloc.rpartition("@")
        query = f"{parts.query}&sslmode=disable" if parts.query else "sslmode=disable"
        return parts._replace(netloc=f"{user}{at}127.0.0.1:{self._port}", query=query).geturl()

    def fall_silent(self) -> None:
        """Take what comes, and hand nothing on; new connections are accepted, and hear nothing either."""
        self._goes_on.clear()

    def lose_answers(self) -> None:
        """Hand on what is asked, and nothing of what is answered."""
        self._hears.clear()

    def speak(self) -> None:
        """Go on."""
        self._goes_on.set()
        self._hears.set()

    def cut(self) -> None:
        """End every connection."""
        for writer in self._writers:
            writer.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Wire]:
        """Serve as long as the block lasts."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self.speak()
            server.close()
            self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        there, answer = await asyncio.open_connection(*self._server)
        self._writers.add(answer)
        try:
            asked = asyncio.Event()
            await asyncio.gather(
                self._hand_on(reader, answer, asked), self._count(there, writer, asked), return_exceptions=True
            )
        finally:
            for end in (writer, answer):
                end.close()
                self._writers.discard(end)

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: asyncio.Event) -> None:
        while data := await reader.read(65536):
            await self._goes_on.wait()
            asked.set()
            writer.write(data)
        writer.close()

    async def _count(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: asyncio.Event) -> None:
        has_begun = False
        try:
            while True:
                head = await reader.readexactly(5)
                body = await reader.readexactly(int.from_bytes(head[1:]) - 4)
                self.round_trips += has_begun and asked.is_set()
                asked.clear()
                if head[0] == _READY and not has_begun:
                    self.connections += 1
                    has_begun = True
                await self._hears.wait()
                await self._goes_on.wait()
                writer.write(head + body)
        except asyncio.IncompleteReadError:
            writer.close()
