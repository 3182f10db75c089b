"""From an HTTP client to an ASGI app in the same process, without a socket and without waiting for the end of answers.

`httpx2.ASGITransport` hands an answer on when it is whole. Streams of events are not whole before their client leaves,
and a server that asks its client something in the middle of an answer waits for what would never be read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
from starlette.types import ASGIApp, Message

_log = logging.getLogger("gatepost.testing")

PEER = ("127.0.0.1", 50000)
"""Where requests come from, as the server sees it."""


class StreamedASGITransport(httpx2.AsyncBaseTransport):
    """Calls an app as an HTTP server does, each request in a task of its own.

    What an app raises is logged, and is the answer 500 where none has begun.

    Args:
        app: what is called.
        state: what its lifespan gave, for the scope of each request.
        peer: address and port that requests come from.
    """

    def __init__(
        self, app: ASGIApp, *, state: Mapping[str, Any] | None = None, peer: tuple[str, int] | None = PEER
    ) -> None:
        self._app, self._state, self._peer = app, state or {}, peer
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the answer as soon as it has begun."""
        url = request.url
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.partition(b"?")[0],
            "query_string": url.query,
            "server": (url.host, url.port or {"https": 443}.get(url.scheme, 80)),
            "client": self._peer,
            "root_path": "",
            "state": dict(self._state),
        }
        exchange = _Exchange(await request.aread(), has_no_body=request.method == "HEAD")
        task = asyncio.create_task(self._call(scope, exchange), name=f"gatepost-testing {request.method} {url.path}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await exchange.begun.wait()
        except asyncio.CancelledError:
            exchange.leave()
            raise
        return httpx2.Response(exchange.status, headers=exchange.headers, stream=exchange)

    async def aclose(self) -> None:
        """Cancel what goes on after its client has left."""
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _call(self, scope: dict[str, Any], exchange: _Exchange) -> None:
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception:  # noqa: BLE001 - as in an HTTP server, whatever it is fails one request
            _log.exception("%s %s failed", scope["method"], scope["path"])
        finally:
            await exchange.end()


class _Exchange(httpx2.AsyncByteStream):
    """One request and its answer, which is read while it is written."""

    def __init__(self, body: bytes, *, has_no_body: bool) -> None:
        self.begun = asyncio.Event()
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._body: bytes | None = body
        self._has_no_body = has_no_body
        self._left = asyncio.Event()
        self._parts: asyncio.Queue[bytes | None] = asyncio.Queue()
        """Those of the answer; None is its end."""
        self._is_whole = False

    async def receive(self) -> Message:
        """Return the request's body, then wait until the client has left or has its answer."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Hand a part of the answer on."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message.get("headers", []))
        elif message["type"] == "http.response.body" and not self._is_whole:
            # As an HTTP server does it: headers wait for the first part of the body.
            if (part := message.get("body", b"")) and not self._has_no_body:
                self._parts.put_nowait(part)
            self.begun.set()
            if not message.get("more_body", False):
                await self.end()

    async def end(self) -> None:
        """Have the answer end: it is whole, or the app returns or fails before it is."""
        if self._is_whole:
            return
        self._is_whole = True
        if not self.status:
            self.status, self.headers = 500, [(b"content-type", b"text/plain; charset=utf-8")]
            self._parts.put_nowait(b"Internal Server Error")
        self._parts.put_nowait(None)
        self._left.set()
        self.begun.set()

    def leave(self) -> None:
        """Have the app know that nobody reads on."""
        self._left.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (part := await self._parts.get()) is not None:
            yield part

    async def aclose(self) -> None:
        """Leave."""
        self.leave()
