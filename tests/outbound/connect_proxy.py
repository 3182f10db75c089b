"""A little forward proxy on 127.0.0.1 that remembers what it was asked, and leads everybody to one port."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self


class ConnectProxy:
    """Answers CONNECT.

    Args:
        leads_to: the port on 127.0.0.1 that every tunnel ends at, whatever is asked for.
        answer: what is sent byte for byte in place of a tunnel; empty is silence.
        authority: a directory with the certificate of a proxy that is spoken to in TLS.
    """

    def __init__(self, *, leads_to: int = 0, answer: bytes | None = None, authority: Path | None = None) -> None:
        self.heads: list[str] = []
        """The head of each request."""
        self.port = 0
        self._leads_to = leads_to
        self._answer = answer
        self._tls: ssl.SSLContext | None = None
        if authority is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(authority / "server.pem")
        self._over = asyncio.Event()
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def asked(self) -> list[str]:
        """The first line of each request."""
        return [head.split("\r\n")[0] for head in self.heads]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            if self._answer is None:
                await self._tunnel(reader, writer)
            elif self._answer:
                writer.write(self._answer)
                await writer.drain()
            else:
                await self._over.wait()
        await _close(writer)

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._leads_to)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._server.close()
        await asyncio.gather(*self._serving)
        await self._server.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while received := await reader.read(4096):
            writer.write(received)
            await writer.drain()
    await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
