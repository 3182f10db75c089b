"""A proxy in front of PostgreSQL that drops notifications, as a pooler does, or everything, as a cut cable does."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final, Self
from urllib.parse import SplitResult

_NOTIFICATION: Final = b"A"  # NotificationResponse, PostgreSQL section 55.7


class SelectiveProxy:
    """Passes messages on from the server at `url`, but for those that it is told to drop."""

    def __init__(self, url: SplitResult) -> None:
        self._behind = url
        self.drops_notifications = False
        self.is_cut = False
        """Whether nothing that the server says goes through, without the connection being closed."""
        self._seen = 0
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """What to connect to."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        user = f"{self._behind.username}@" if self._behind.username else ""
        return self._behind._replace(netloc=f"{user}127.0.0.1:{port}").geturl()

    async def seen(self, count: int) -> None:
        """Wait until there were so many connections."""
        while self._seen < count:
            self._news.clear()
            await self._news.wait()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._seen += 1
        self._news.set()
        back: asyncio.StreamWriter | None = None
        try:
            from_server, back = await asyncio.open_connection(self._behind.hostname, self._behind.port or 5432)
            up = asyncio.create_task(_copy(reader, back))
            with suppress(asyncio.IncompleteReadError, OSError):
                await self._pass_on(from_server, writer)
            up.cancel()
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            self._tasks.discard(task)
            for one in (writer, back):
                if one is not None:
                    one.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readexactly(1)
        if first == b"N":  # the answer to SSLRequest is this one byte
            writer.write(first)
            first = await reader.readexactly(1)
        while True:
            length = await reader.readexactly(4)
            body = await reader.readexactly(int.from_bytes(length) - 4)
            if not (self.is_cut or (first == _NOTIFICATION and self.drops_notifications)):
                writer.write(first + length + body)
                await writer.drain()
            first = await reader.readexactly(1)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()
