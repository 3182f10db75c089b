"""Clients that do not send what they began, or do not stop (security.md, "Load")."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar, cast

import pytest
import uvicorn

from gatepost.listening.slow_readers import WatchedConnection
from tests.patience import PATIENCE

App = Callable[[Any, Any, Any], Awaitable[None]]
HEAD = b"POST /here HTTP/1.1\r\nhost: a.example\r\n"
GET = b"GET /here HTTP/1.1\r\nhost: a.example\r\n\r\n"
TOO_MUCH = WatchedConnection.most_beside_body + 4 * 256 * 1024  # four readings of a socket more


class Impatient(WatchedConnection):
    """For tests that wait for a real deadline."""

    send_seconds: ClassVar[float] = 0.05


async def hasty(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer at once, whatever else is still to come."""
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


async def thorough(scope: Any, receive: Any, send: Any) -> None:
    """Read the whole body, then answer."""
    while (message := await receive())["type"] == "http.request" and message["more_body"]:
        pass
    await hasty(scope, receive, send)


class Client:
    """The other end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            # Which does not wait while there is room.
            await asyncio.sleep(0)

    async def send_until_cut(self, part: bytes) -> None:
        """Send again and again, until that fails; far more than may be sent, at most."""
        for _ in range(10 * TOO_MUCH // len(part)):
            await self.send(part)

    async def answer(self) -> bytes:
        """Return the status line of the next answer with an empty body or `ok`."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        if b"content-length: 2" in head:
            await self.reader.readexactly(2)
        return head.partition(b"\r\n")[0]

    async def is_cut(self) -> bool:
        """Wait for the end of the connection; nothing more has come on it."""
        try:
            return await self.reader.read() == b""
        except ConnectionError:
            return True


@asynccontextmanager
async def served(
    app: App, http: type[WatchedConnection] = Impatient
) -> AsyncIterator[Callable[..., Awaitable[Client]]]:
    """Serve an app as `gatepost serve` would; yield what connects to it."""
    config = uvicorn.Config(cast("Any", app), http=http, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    clients: list[Client] = []

    async def connect(local_addr: tuple[str, int] | None = None) -> Client:
        clients.append(Client(*await asyncio.open_connection("127.0.0.1", port, local_addr=local_addr)))
        return clients[-1]

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            async with asyncio.timeout(PATIENCE):
                yield connect
        finally:
            for client in clients:
                client.writer.close()
            server.should_exit = server.force_exit = True
            await serving


@pytest.mark.parametrize("begun", [b"", b"GE", HEAD, HEAD + b"cookie: "])
async def test_a_connection_that_does_not_come_to_a_request_is_cut(begun: bytes) -> None:
    async with served(thorough) as connect:
        client = await connect()
        await client.send(begun)
        assert await client.is_cut()


async def test_a_head_that_comes_byte_by_byte_gains_no_time() -> None:
    async with served(thorough) as connect:
        client = await connect()

        async def drip() -> None:
            while True:
                await client.send(b"x")

        await client.send(HEAD)
        dripping = asyncio.create_task(drip())
        assert await client.is_cut()
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)


async def test_a_later_request_that_is_begun_and_not_ended_is_cut() -> None:
    async with served(thorough) as connect:
        client = await connect()
        await client.send(GET)
        assert await client.answer() == b"HTTP/1.1 200 OK"
        await client.send(b"GET /here")
        assert await client.is_cut()


async def test_the_rest_of_a_body_that_was_answered_already_has_a_deadline() -> None:
    async with served(hasty) as connect:
        client = await connect()
        await client.send(HEAD + b"content-length: 1000000\r\n\r\n", b"x")
        assert await client.answer() == b"HTTP/1.1 200 OK"
        assert await client.is_cut()


async def test_time_that_the_app_takes_is_not_the_clients() -> None:
    may_answer = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await may_answer.wait()
        await hasty(scope, receive, send)

    async with served(slow) as connect:
        waiting, early = await connect(), await connect()
        # The second request of `waiting` is begun while the first one is answered.
        await waiting.send(GET, GET[:10])
        assert await early.is_cut()
        may_answer.set()
        # Its time begins with the first answer; so the rest is on its way before anything is read.
        await waiting.send(GET[10:])
        assert await waiting.answer() == b"HTTP/1.1 200 OK"
        assert await waiting.answer() == b"HTTP/1.1 200 OK"


class Telling(WatchedConnection):
    """Tells when it is idle, with nothing to end it but the time for idle connections."""

    is_idle: ClassVar[asyncio.Event]

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._tell()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._tell()

    def _tell(self) -> None:
        if self._deadline is None and self.idle_since is not None:
            self.is_idle.set()


@pytest.mark.parametrize("app", [hasty, thorough])
async def test_a_connection_that_is_idle_between_requests_is_kept(app: App) -> None:
    Telling.is_idle = asyncio.Event()
    async with served(app, Telling) as connect:
        client = await connect()
        for _ in range(3):
            await client.send(HEAD + b"content-length: 4\r\n\r\n")
            if app is hasty:
                assert await client.answer() == b"HTTP/1.1 200 OK"
            Telling.is_idle.clear()
            await client.send(b"body")
            if app is thorough:
                assert await client.answer() == b"HTTP/1.1 200 OK"
            await Telling.is_idle.wait()


@pytest.mark.parametrize("line", [b"x" * 4096, b"a: b\r\n" * 1000])
async def test_a_head_without_end_is_refused(line: bytes) -> None:
    async with served(thorough, WatchedConnection) as connect:
        client = await connect()
        await client.send(HEAD, b"cookie: ")
        with pytest.raises(ConnectionError):
            await client.send_until_cut(line)


async def test_a_head_that_is_too_large_and_not_complete_is_refused_at_its_first_reading() -> None:
    class Narrow(WatchedConnection):
        most_beside_body: ClassVar[int] = 1000

    async with served(thorough, Narrow) as connect:
        client = await connect()
        for _ in range(2):
            await client.send(HEAD + b"cookie: " + b"x" * 900 + b"\r\n\r\n")
            assert await client.answer() == b"HTTP/1.1 200 OK"
        await client.send(HEAD + b"cookie: " + b"x" * 1000)
        assert await client.answer() == b"HTTP/1.1 431 Request Header Fields Too Large"


async def test_a_head_that_is_too_large_is_answered() -> None:
    async with served(thorough, WatchedConnection) as connect:
        client = await connect()
        await client.send(HEAD)
        while not client.reader._buffer:  # type: ignore[attr-defined] # what has come, without waiting for it
            await client.send(b"x" * 1024)
        assert await client.answer() == b"HTTP/1.1 431 Request Header Fields Too Large"


async def test_trailers_are_no_headers_and_have_an_end() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await thorough(scope, receive, send)
        seen.append(dict(scope["headers"]))

    async with served(app, WatchedConnection) as connect:
        client = await connect()
        chunked = HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
        await client.send(chunked, b"authorization: Bearer x\r\n\r\n")
        assert await client.answer() == b"HTTP/1.1 200 OK"
        assert seen == [{b"host": b"a.example", b"transfer-encoding": b"chunked"}]
        await client.send(chunked)
        with pytest.raises(ConnectionError):
            await client.send_until_cut(b"a: bcd\r\n")


async def test_a_body_in_small_chunks_is_no_trailer() -> None:
    async with served(thorough, WatchedConnection) as connect:
        client = await connect()
        await client.send(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        for _ in range(TOO_MUCH // 8 // 1024):
            await client.send(b"8\r\n12345678\r\n" * 1024)
        await client.send(b"0\r\n\r\n")
        assert await client.answer() == b"HTTP/1.1 200 OK"


async def test_a_client_that_leaves_with_another_request_waiting_is_missed_by_the_first() -> None:
    ends: asyncio.Queue[str] = asyncio.Queue()

    async def stream(_scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        leaving = asyncio.ensure_future(left(receive))
        # Nothing is read behind a second request, so a client's leaving shows in what is written.
        while not leaving.done():
            await send({"type": "http.response.body", "body": b"tick", "more_body": True})
            await asyncio.sleep(0)
        ends.put_nowait("missed")

    async def left(receive: Any) -> None:
        while (await receive())["type"] == "http.request":
            pass

    async with served(stream, WatchedConnection) as connect:
        client = await connect()
        await client.send(GET)
        await client.reader.readuntil(b"\r\n\r\n")
        await client.send(GET + GET)
        client.writer.close()
        assert await ends.get() == "missed"


async def test_only_so_many_requests_wait_behind_one() -> None:
    may_answer = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await may_answer.wait()
        await hasty(scope, receive, send)

    async with served(slow, WatchedConnection) as connect:
        patient, greedy = await connect(), await connect()
        await patient.send(GET * (1 + WatchedConnection.most_waiting))
        await greedy.send(GET * (2 + WatchedConnection.most_waiting))
        assert await greedy.is_cut()
        may_answer.set()
        for _ in range(1 + WatchedConnection.most_waiting):
            assert await patient.answer() == b"HTTP/1.1 200 OK"


async def test_nothing_is_written_into_an_answer_that_is_under_way() -> None:
    may_go_on = asyncio.Event()

    async def half(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await may_go_on.wait()

    async with served(half, WatchedConnection) as connect:
        client = await connect()
        await client.send(GET)
        await client.reader.readuntil(b"\r\n\r\n")
        await client.send(b"\x00 no http\r\n\r\n")
        assert await client.is_cut()
        may_go_on.set()


async def test_a_websocket_is_answered_as_http() -> None:
    async with served(thorough) as connect:
        client = await connect()
        await client.send(GET[:-2] + b"connection: Upgrade\r\nupgrade: websocket\r\n\r\n")
        assert await client.answer() == b"HTTP/1.1 200 OK"
