"""HTTP/1.1 to one server (RFC 9112): where an answer ends, and when its connection is used again."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from gatepost.outbound import http1
from gatepost.outbound.http1 import HEAD_LIMIT, Http1Way
from gatepost.outbound.streamed import StreamedAnswer
from tests.patience import PATIENCE

OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
SHORT = OK + b"content-length: 2\r\n\r\nok"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
READ = 60.0


class Peer:
    """A server that sends, for each request, the next of the bytes that a test gives it."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.url = ""
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.connections: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.ended = asyncio.Event()
        """Set when a connection has been closed by the other side."""
        self.ends_after: bytes | None = None
        """The answer after which the connection is closed."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append((reader, writer))
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                length = next((line for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")), b":0")
                self.bodies.append(await reader.readexactly(int(length.partition(b":")[2])))
                answer = self.answers.pop(0)
                writer.write(answer)
                await writer.drain()
                if answer is self.ends_after:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            self.ended.set()
        finally:
            writer.close()


@asynccontextmanager
async def met(*answers: bytes, ends: bool = False) -> AsyncIterator[tuple[Peer, Http1Way]]:
    """Serve these answers in turn, the last one to the end of its connection, and give a way there."""
    peer = Peer(*answers)
    peer.ends_after = answers[-1] if ends else None
    async with served(peer.serve) as url:
        peer.url = url
        way = Http1Way(httpx2.URL(url), _no_tls)
        try:
            yield peer, way
        finally:
            await way.aclose()


@asynccontextmanager
async def served(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp?a=b"
    finally:
        server.close()


def _no_tls() -> Any:
    raise AssertionError


async def body_of(answer: StreamedAnswer) -> bytes:
    try:
        return b"".join([chunk async for chunk in answer.chunks()])
    finally:
        await answer.aclose()


async def got(
    way: Http1Way, body: bytes | None = None, headers: Mapping[str, str] | None = None, seconds: float = READ
) -> bytes:
    """Return the body of one answer."""
    verb = "GET" if body is None else "POST"
    return await body_of(await way.ask(verb, headers or {}, body, read_seconds=seconds))


# What is sent.


async def test_a_request_says_all_that_a_server_needs_and_nothing_else() -> None:
    async with met(SHORT, SHORT) as (peer, way):
        assert await got(way, b'{"a": 1}', {"X-Own": "ä"}) == b"ok"
        assert await got(way) == b"ok"

    host = peer.url.removeprefix("http://").partition("/")[0].encode()
    common = b"/mcp?a=b HTTP/1.1\r\nHost: %b\r\nAccept-Encoding: identity\r\n" % host
    assert peer.heads == [
        b"POST " + common + "X-Own: ä\r\nContent-Length: 8\r\n\r\n".encode(),
        b"GET " + common + b"\r\n",
    ]
    assert peer.bodies == [b'{"a": 1}', b""]


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\nb", "a\rb", "a\0b", "a\r\n\r\nGET / HTTP/1.1", "\ud800"])
async def test_a_header_that_would_be_more_than_one_is_not_sent(value: str) -> None:
    async with met(SHORT) as (peer, way):
        with pytest.raises(httpx2.LocalProtocolError):
            await got(way, headers={"Last-Event-ID": value})
    assert not peer.connections


# Where an answer ends.


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (SHORT, b"ok"),
        (CHUNKED + b"2\r\nok\r\n1;x=y\r\n!\r\n0\r\nx-trailer: a\r\n\r\n", b"ok!"),
        (OK + b"\r\nok", b"ok"),
        (b"HTTP/1.0 200 OK\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" + SHORT, b"ok"),
    ],
)
async def test_an_answer_ends_where_its_head_says(answer: bytes, body: bytes) -> None:
    async with met(answer, ends=True) as (_, way):
        assert await got(way) == body


async def test_an_answer_may_come_byte_by_byte() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for byte in b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED + b"2\r\nok\r\n0\r\n\r\n":
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    async with served(serve) as url:
        way = Http1Way(httpx2.URL(url), _no_tls)
        answer = await way.ask("GET", {}, None, read_seconds=READ)
        assert (answer.status, dict(answer.headers)) == (
            200,
            {"content-type": "text/plain", "transfer-encoding": "chunked"},
        )
        assert await body_of(answer) == b"ok"
        await way.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        OK + b"content-length: 3\r\n\r\nok",
        CHUNKED + b"2\r\nok\r\n",
        CHUNKED + b"5\r\nok",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
async def test_an_answer_that_is_cut_off_is_none(answer: bytes) -> None:
    async with met(answer, ends=True) as (_, way):
        with pytest.raises(httpx2.ReadError):
            await got(way)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nok",
        OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        OK + b"transfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        OK + b"transfer-encoding: gzip\r\n\r\nok",
        OK + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\nok",
        CHUNKED + b"no length\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
    ],
)
async def test_what_was_not_asked_for_is_refused(answer: bytes) -> None:
    async with met(answer) as (peer, way):
        with pytest.raises(httpx2.RemoteProtocolError):
            await got(way)
        await asyncio.wait_for(peer.ended.wait(), PATIENCE)


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"x: " + b"y" * 3 * HEAD_LIMIT,
        OK + b"x: y\r\n" * HEAD_LIMIT,
        b"HTTP/1.1 100 Continue\r\n\r\n" * HEAD_LIMIT,
        CHUNKED + b"2\r\nok\r\n0\r\nx: " + b"y" * 8 * HEAD_LIMIT,
        CHUNKED + b"2\r\nok\r\n2;" + b"y" * 8 * HEAD_LIMIT,
    ],
)
async def test_a_server_cannot_go_on_for_ever_beside_what_it_says(answer: bytes) -> None:
    async with met(answer) as (_, way):
        with pytest.raises(httpx2.RemoteProtocolError, match=f"more than {HEAD_LIMIT} bytes"):
            await got(way)


async def test_headers_of_one_name_are_one() -> None:
    async with met(OK + b"X-A: 1\r\nx-a: 2\r\ncontent-length: 0\r\n\r\n") as (_, way):
        answer = await way.ask("GET", {}, None, read_seconds=READ)
        assert answer.headers["x-a"] == "1, 2"


# Connections.


async def test_a_connection_is_used_again_and_no_two_requests_share_one() -> None:
    async with met(*[SHORT] * 5) as (peer, way):
        for _ in range(2):
            assert await got(way, b"") == b"ok"
        assert len(peer.connections) == 1
        assert list(await asyncio.gather(got(way), got(way))) == [b"ok", b"ok"]
        assert await got(way) == b"ok"
        assert len(peer.connections) == 2


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"connection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        SHORT + SHORT,
        SHORT + b"noise",
        CHUNKED + b"2\r\nok\r\n0\r\nconnection: close\r\n\r\n",
    ],
)
async def test_a_connection_on_which_more_may_come_is_not_used_again(answer: bytes) -> None:
    async with met(answer, SHORT) as (peer, way):
        assert await got(way) == b"ok"
        assert await got(way) == b"ok"
        assert len(peer.connections) == 2


async def test_what_comes_unasked_is_no_answer_to_the_next_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http1, "_IDLE_SECONDS", 10 * PATIENCE)
    async with met(SHORT, SHORT) as (peer, way):
        assert await got(way) == b"ok"
        peer.connections[0][1].write(OK + b"content-length: 4\r\n\r\nfake")
        await asyncio.wait_for(peer.ended.wait(), PATIENCE)
        assert await got(way) == b"ok"
        assert len(peer.connections) == 2


async def test_a_connection_that_the_server_has_closed_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http1, "_IDLE_SECONDS", 10 * PATIENCE)
    async with met(SHORT, SHORT) as (peer, way):
        assert await got(way) == b"ok"
        peer.connections[0][1].close()
        async with asyncio.timeout(PATIENCE):
            while way._idle:  # noqa: ASYNC110 - that it has noticed sets no event
                await asyncio.sleep(0)
        assert await got(way) == b"ok"


async def test_an_answer_that_nobody_reads_to_its_end_ends_its_connection() -> None:
    async with met(OK + b"content-length: 5\r\n\r\nok", SHORT) as (peer, way):
        answer = await way.ask("GET", {}, None, read_seconds=READ)
        await answer.aclose()
        await answer.aclose()
        await asyncio.wait_for(peer.ended.wait(), PATIENCE)
        assert await got(way) == b"ok"


async def test_connections_are_closed_that_nobody_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "_IDLE_SECONDS", 0.001)
    async with met(SHORT) as (peer, way):
        assert await got(way) == b"ok"
        await asyncio.wait_for(peer.ended.wait(), PATIENCE)


async def test_a_connection_that_is_due_to_be_closed_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "_IDLE_SECONDS", 10 * PATIENCE)
    async with met(SHORT, SHORT) as (peer, way):
        assert await got(way) == b"ok"
        monkeypatch.setattr(http1, "_IDLE_SECONDS", 0.0)
        assert await got(way) == b"ok"
        assert len(peer.connections) == 2


async def test_so_many_wait_for_further_use_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "_MOST_IDLE", 2)
    async with met(*[SHORT] * 3) as (peer, way):
        answers = [await way.ask("GET", {}, None, read_seconds=READ) for _ in range(3)]
        for answer in answers:
            assert await body_of(answer) == b"ok"
        await asyncio.wait_for(peer.ended.wait(), PATIENCE)
        assert len(way._idle) == 2


async def test_a_cancelled_request_ends_its_connection() -> None:
    async with met(b"") as (peer, way):
        asking = asyncio.ensure_future(got(way))
        async with asyncio.timeout(PATIENCE):
            while not peer.heads:  # noqa: ASYNC110 - nothing sets an event
                await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait_for(peer.ended.wait(), PATIENCE)


async def test_the_end_of_a_way_ends_all_its_connections() -> None:
    async with met(SHORT, CHUNKED) as (peer, way):
        first = await way.ask("GET", {}, None, read_seconds=READ)
        second = await way.ask("GET", {}, None, read_seconds=READ)
        assert await body_of(first) == b"ok"
        await way.aclose()
        with pytest.raises(httpx2.ReadError):
            await body_of(second)
        assert not way._open
        await asyncio.wait_for(peer.ended.wait(), PATIENCE)


# Waiting.


@pytest.mark.parametrize("answer", [b"", CHUNKED, CHUNKED + b"2\r\nok\r\n"])
async def test_a_server_may_be_silent_for_so_long(answer: bytes) -> None:
    async with met(answer) as (_, way):
        with pytest.raises(httpx2.ReadTimeout):
            await got(way, seconds=0.01)


async def test_a_server_waits_for_who_reads_slowly() -> None:
    piece, sent, stopped = b"x" * 65_536, 0, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"content-length: %d\r\n\r\n" % (1000 * len(piece)))
        for _ in range(1000):
            writer.write(piece)
            draining = asyncio.ensure_future(writer.drain())
            if not (await asyncio.wait((draining,), timeout=0.5))[0]:
                stopped.set()
            await draining
            sent += len(piece)
        writer.close()

    async with served(serve) as url:
        way = Http1Way(httpx2.URL(url), _no_tls)
        answer = await way.ask("GET", {}, None, read_seconds=READ)
        await asyncio.wait_for(stopped.wait(), PATIENCE)
        assert answer._buffered < 2 * 1024 * 1024  # type: ignore[attr-defined]
        assert sum([len(chunk) async for chunk in answer.chunks()]) == 1000 * len(piece)
        await way.aclose()


LONG = b"x" * 32_000_000
"""More than any socket takes at once."""


async def test_an_answer_before_the_request_was_read_counts_and_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http1, "_IDLE_SECONDS", 10 * PATIENCE)
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        try:
            while await reader.read(65_536) and not ended.is_set():
                if reader.at_eof():
                    break
        except ConnectionError:
            pass
        ended.set()
        writer.close()

    async with served(serve) as url:
        way = Http1Way(httpx2.URL(url), _no_tls)
        answer = await way.ask("POST", {}, LONG, read_seconds=READ)
        assert answer.status == 413
        assert await body_of(answer) == b"no"
        await asyncio.wait_for(ended.wait(), PATIENCE)
        await way.aclose()


async def test_a_server_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "WRITE_SECONDS", 0.05)
    gone = asyncio.Event()

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined] # of a stream socket
        await gone.wait()
        writer.close()

    async with served(serve) as url:
        way = Http1Way(httpx2.URL(url), _no_tls)
        with pytest.raises(httpx2.WriteTimeout):
            await way.ask("POST", {}, LONG, read_seconds=READ)
        gone.set()
        await way.aclose()


# Getting there.


async def test_nobody_there_is_said_before_anything_is_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for host in (f"127.0.0.1:{port}", "a" * 70 + ".example"):
        way = Http1Way(httpx2.URL(f"http://{host}/"), _no_tls)
        with pytest.raises(httpx2.ConnectError):
            await way.ask("GET", {}, None, read_seconds=READ)


async def test_the_first_address_that_answers_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    async with met(SHORT) as (peer, _):
        port = httpx2.URL(peer.url).port or 0
        tried: list[str] = []
        loop = asyncio.get_running_loop()
        connect = loop.create_connection

        async def found(*_: Any, **__: Any) -> list[Any]:
            kind = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
            return [(*kind, (where, port)) for where in ("127.0.0.2", "127.0.0.3", "127.0.0.1", "127.0.0.4")]

        async def connecting(protocol: Any, host: str, *where: Any, **more: Any) -> Any:
            tried.append(host)
            if host == "127.0.0.2":
                raise ConnectionRefusedError
            if host == "127.0.0.3":
                await asyncio.Event().wait()
            return await connect(protocol, host, *where, **more)

        monkeypatch.setattr(loop, "getaddrinfo", found)
        monkeypatch.setattr(loop, "create_connection", connecting)
        way = Http1Way(httpx2.URL(f"http://several.example:{port}/"), _no_tls)
        assert await got(way) == b"ok"
        # The second one is waited for no longer than it takes to try the third.
        assert tried == ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
        await way.aclose()


async def test_a_connection_has_so_long_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(http1, "CONNECT_SECONDS", 0.01)
    monkeypatch.setattr(http1, "first_connection", never)
    way = Http1Way(httpx2.URL("http://127.0.0.1:1/"), _no_tls)
    with pytest.raises(httpx2.ConnectTimeout):
        await way.ask("GET", {}, None, read_seconds=READ)
