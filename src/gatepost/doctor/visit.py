"""A visit of somebody's browser to a page, from which it comes back to a port of this machine (RFC 8252, 7.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit

VISIT_SECONDS: Final = 300.0
"""How long a person may take to log in."""
_PATH: Final = "/callback"
_LONGEST: Final = 16 * 1024
"""Bytes of a request that are read."""
_READ_SECONDS: Final = 10.0
_THANKS: Final = b"<!doctype html><title>gatepost doctor</title><p>Received. You can close this page."


class BrowserVisit:
    """Listens on a free port of 127.0.0.1 for one browser that comes back. An async context manager.

    Args:
        open_browser: sends the browser to a URL.
        seconds: how long it may take.
    """

    def __init__(self, open_browser: Callable[[str], Awaitable[None]], *, seconds: float = VISIT_SECONDS) -> None:
        self._open_browser = open_browser
        self._seconds = seconds
        self.redirect_uri = ""

    async def __aenter__(self) -> Self:
        self._returned: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0, limit=_LONGEST)
        port = self._server.sockets[0].getsockname()[1]
        self.redirect_uri = f"http://127.0.0.1:{port}{_PATH}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    async def take(self, url: str, state: str) -> Mapping[str, str]:
        """Send the browser to `url` and return the parameters with which it comes back, once they have this `state`.

        Raises:
            TimeoutError: it did not come.
        """
        self._state = state
        await self._open_browser(url)
        async with asyncio.timeout(self._seconds):
            return await self._returned

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_READ_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            target = urlsplit(head.split(b" ", 2)[1].decode("ascii"))
            is_it = target.path == _PATH and self._takes(target.query)
            status, body = (b"200 OK", _THANKS) if is_it else (b"404 Not Found", b"")
            length = str(len(body)).encode()
            writer.write(
                b"HTTP/1.1 %b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %b\r\n"
                b"Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n%b" % (status, length, body)
            )
            await writer.drain()
        except (OSError, ValueError, IndexError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            pass  # whoever else knocks is no browser that comes back
        finally:
            writer.close()

    def _takes(self, query: str) -> bool:
        """Take the parameters, if they answer what was asked: any program of this machine can come here."""
        parameters = {name: values[0] for name, values in parse_qs(query).items()}
        if parameters.get("state") != self._state:
            return False
        if not self._returned.done():
            self._returned.set_result(parameters)
        return True
