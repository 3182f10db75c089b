"""The HTTP server in an event loop that runs already and keeps its signals, for tests: `serve` brings both itself."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Generator

from starlette.types import ASGIApp

from gatepost.listening.serving import DrainingServer, Service, configuration


class _ServerInLoop(DrainingServer):
    """A server that hears no signals, and says when it serves."""

    def __init__(self, app: ASGIApp, service: Service, shutdown_seconds: int) -> None:
        config = configuration(app, shutdown_seconds)
        config.lifespan = "off"
        super().__init__(config, service, begin=None)
        self.serves = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serves.set()


@contextlib.asynccontextmanager
async def serving_in_loop(
    app: ASGIApp, service: Service, listener: socket.socket, *, shutdown_seconds: int
) -> AsyncIterator[None]:
    """Serve an app whose lifespan runs already at a socket that listens, for as long as the context lasts."""
    server = _ServerInLoop(app, service, shutdown_seconds)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="gatepost-serving")
    try:
        await server.serves.wait()
        yield
    finally:
        server.should_exit = True
        await task
