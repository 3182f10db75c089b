"""What a stop does to connections: nobody who was let in is reset, and every last answer says that it is one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from gatepost.listening import serving
from gatepost.listening.slow_readers import WatchedConnection

REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


class Nothing:
    """A service without a life."""

    def __init__(self) -> None:
        self.stopped = 0

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    def observe_connections(self, count: Callable[[], int]) -> None:
        self.connections = count

    def stop_soon(self) -> None:
        self.stopped += 1

    def stop_now(self) -> None:
        """Do nothing."""


@pytest.fixture
def listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


@pytest.fixture
async def server(listener: socket.socket) -> AsyncIterator[serving.DrainingServer]:
    config = uvicorn.Config(
        PlainTextResponse("here"), http=WatchedConnection, ws="none", lifespan="off", log_config=None
    )
    config.load()
    made = serving.DrainingServer(config, Nothing())
    made.lifespan = config.lifespan_class(config)
    await made.startup([listener])
    yield made
    for connection in list(made.server_state.connections):
        connection.transport.abort()
    with suppress(OSError):
        listener.close()


async def answer(connection: socket.socket) -> bytes:
    """Send a request and read to the end of the connection."""
    reader, writer = await asyncio.open_connection(sock=connection)
    writer.write(REQUEST)
    received = await reader.read()
    writer.close()
    return received


async def test_a_connection_that_waits_in_the_queue_is_answered(
    server: serving.DrainingServer, listener: socket.socket
) -> None:
    # The event loop has no turn in which it could accept it before the stop.
    waiting = socket.create_connection(listener.getsockname())
    stopping = asyncio.ensure_future(server.shutdown([listener]))
    received = await answer(waiting)
    await stopping

    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close\r\n" in received


async def test_a_connection_that_was_kept_is_answered_once_more(
    server: serving.DrainingServer, listener: socket.socket
) -> None:
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    writer.write(REQUEST)
    assert b"connection: close" not in await reader.readuntil(b"here")

    stopping = asyncio.ensure_future(server.shutdown([listener]))
    await asyncio.sleep(0)  # up to where it waits for those who are idle
    assert not server.servers[0].is_serving()
    writer.write(REQUEST)
    received = await reader.read()
    writer.close()
    await stopping

    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close\r\n" in received


async def test_a_stop_waits_for_nobody_where_nobody_is_there(
    server: serving.DrainingServer, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "LEAVING_SECONDS", 1_000_000)
    await server.shutdown([listener])
    assert isinstance(server._service, Nothing)
    assert server._service.stopped == 1
