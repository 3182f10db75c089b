"""Clients that do not read what they are sent (security.md, "Load")."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar, cast

import pytest
import uvicorn
from uvicorn.server import ServerState

from gatepost.listening.slow_readers import WatchedConnection
from gatepost.server.calls.context import Context
from tests.patience import PATIENCE
from tests.web.mcp.mcp_harness import HOST, MODERN_META, headers_for
from tests.web.mcp.sessions.session_world import SessionWorld, call

FULL = 64 * 1024


class Timer:
    """One call that the event loop was asked for."""

    def __init__(self, seconds: float, callback: Callable[[], None]) -> None:
        self.seconds = seconds
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Line:
    """A transport and the loop that it lives in, moved by hand."""

    def __init__(self) -> None:
        self.in_buffer = 0
        self.is_cut = False
        self.timers: list[Timer] = []
        config = uvicorn.Config(cast("Any", lambda: None), log_config=None)
        self.connection = WatchedConnection(config, ServerState(), {}, cast("Any", self))
        self.connection.connection_made(cast("Any", self))
        self.timers.clear()  # that for the first request (test_slow_senders.py)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(seconds, callback))
        return self.timers[-1]

    def get_write_buffer_size(self) -> int:
        return self.in_buffer

    def abort(self) -> None:
        self.is_cut = True

    def close(self) -> None: ...

    def write(self, _data: bytes) -> None: ...

    def is_closing(self) -> bool:
        return self.is_cut

    def get_extra_info(self, _name: str) -> None: ...

    def fill(self, size: int) -> None:
        self.in_buffer = size
        self.connection.pause_writing()

    def pass_time(self) -> None:
        """Let the time come that was asked for last."""
        assert not self.timers[-1].is_cancelled
        self.timers[-1].callback()


def test_a_client_that_takes_nothing_is_cut_off_after_the_deadline() -> None:
    line = Line()
    line.fill(FULL)
    assert [timer.seconds for timer in line.timers] == [WatchedConnection.check_seconds]
    assert not line.is_cut
    line.pass_time()
    assert line.is_cut


def test_a_client_that_takes_a_byte_now_and_then_is_cut_off_too() -> None:
    line = Line()
    line.fill(FULL)
    line.in_buffer -= WatchedConnection.least_bytes - 1
    line.pass_time()
    assert line.is_cut


def test_a_client_on_a_slow_line_is_waited_for_as_long_as_it_goes_on() -> None:
    line = Line()
    line.fill(100 * FULL)
    for _ in range(50):
        line.in_buffer -= WatchedConnection.least_bytes
        line.pass_time()
    assert not line.is_cut
    line.pass_time()
    assert line.is_cut


def test_nobody_looks_at_a_client_that_caught_up_or_left() -> None:
    line = Line()
    line.fill(FULL)
    line.connection.resume_writing()
    line.fill(FULL)
    line.connection.connection_lost(None)
    assert [timer.is_cancelled for timer in line.timers] == [True, True]
    Line().connection.connection_lost(None)


class Impatient(WatchedConnection):
    """For tests that wait for a real deadline."""

    check_seconds: ClassVar[float] = 0.05


@asynccontextmanager
async def served(world: SessionWorld) -> AsyncIterator[int]:
    """Serve the endpoint as `gatepost serve` would, and give the port."""
    config = uvicorn.Config(cast("Any", world.endpoint), http=Impatient, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


@asynccontextmanager
async def unread(port: int, message: Any, headers: list[tuple[bytes, bytes]]) -> AsyncIterator[None]:
    """Send a request and read nothing of what comes back."""
    body = json.dumps(message).encode()
    head = b"".join(b"%s: %s\r\n" % header for header in headers)
    request = b"POST /mcp HTTP/1.1\r\n%scontent-length: %d\r\n\r\n%s" % (head, len(body), body)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", port))
        await loop.sock_sendall(client, request)
        yield


def flooding(world: SessionWorld) -> asyncio.Queue[str]:
    """Add a tool that sends 32 MB, more than any buffer of the system takes; the queue says how it ended."""
    ends: asyncio.Queue[str] = asyncio.Queue()

    async def flood(ctx: Context) -> str:
        try:
            for count in range(320):
                await ctx.progress(count, message="x" * 100_000)
        except asyncio.CancelledError:
            ends.put_nowait("cancelled")
            raise
        ends.put_nowait("finished")
        return "done"

    world.server.tool(flood)
    return ends


@pytest.mark.parametrize(
    ("is_modern", "end"),
    [
        (True, "cancelled"),  # a client that goes away takes its request back
        (False, "finished"),  # in a session it may come back for the rest
    ],
)
async def test_a_call_does_not_wait_for_ever_for_a_client_that_reads_nothing(*, is_modern: bool, end: str) -> None:
    world = SessionWorld()
    ends = flooding(world)
    if is_modern:
        message = call("flood", progressToken="p", **cast("Any", MODERN_META))
        headers = headers_for(version="2026-07-28", method="tools/call", name="flood")
    else:
        message = call("flood", progressToken="p")
        headers = [*headers_for(version="2025-11-25"), (b"mcp-session-id", (await world.begin()).encode())]
    assert (b"host", HOST) in headers

    async with served(world) as port, unread(port, message, headers), asyncio.timeout(PATIENCE):
        assert await ends.get() == end
