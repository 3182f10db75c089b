"""Framing: one request on the wire is one request here, whatever it offers and however it is cut (security.md).

Raw sockets, and ordinary bodies. These tests gate every upgrade of uvicorn and httptools (CONTRIBUTING.md).
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gatepost.listening.slow_readers import WatchedConnection
from tests.listening.test_slow_senders import HEAD, Client, hasty, served

OFFERS = {
    "none": b"",
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
    "websocket": b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    "TLS": b"Upgrade: TLS/1.2\r\nConnection: Upgrade\r\n",
    "several": b"Connection: upgrade\r\nUpgrade: h2c, websocket\r\nUpgrade: other/1\r\n",
    "without Connection": b"Upgrade: h2c\r\n",
}
BODIES = {
    "no body": (b"\r\n", b""),
    "empty": (b"Content-Length: 0\r\n\r\n", b""),
    "length": (b"Content-Length: 11\r\n\r\nhello=world", b"hello=world"),
    "chunks": (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n=world\r\n0\r\n\r\n", b"hello=world"),
    "trailers": (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", b"hello"),
}


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the method, the path, the names of the headers and the body."""
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    names = b" ".join(name for name, _ in scope["headers"])
    content = b"\n".join([scope["method"].encode(), scope["raw_path"], names, body])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(content))]})
    await send({"type": "http.response.body", "body": content})


async def answer_to(client: Client) -> tuple[bytes, bytes, bytes, bytes]:
    head = await client.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    method, path, names, body = (await client.reader.readexactly(length)).split(b"\n", 3)
    return method, path, names, body


def cut(data: bytes, how: str) -> list[bytes]:
    """Cut what is sent into packets."""
    if how == "bytes":
        return [data[index : index + 1] for index in range(len(data))]
    end = data.index(b"\r\n\r\n") + 4
    return {"one": [data], "head": [data[:end], data[end:]], "in the head": [data[:20], data[20:]]}[how]


@pytest.mark.parametrize("packets", ["one", "head", "in the head", "bytes"])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("offer", OFFERS)
async def test_a_request_that_offers_another_protocol_is_read_to_its_end_and_what_follows_is_answered_in_order(
    offer: str, body: str, packets: str
) -> None:
    rest, content = BODIES[body]
    first = b"POST /first HTTP/1.1\r\nHost: a.example\r\n" + OFFERS[offer] + rest
    second = b"PUT /second HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n\r\nlast"
    async with served(echo, WatchedConnection) as connect:
        client = await connect()

        await client.send(*cut(first + second, packets))

        method, path, names, read = await answer_to(client)
        assert (method, path, read) == (b"POST", b"/first", content)
        assert b"upgrade" not in names.split() or offer == "without Connection"
        method, path, _, read = await answer_to(client)
        assert (method, path, read) == (b"PUT", b"/second", b"last")


async def test_several_offers_on_one_connection_are_answered_one_by_one() -> None:
    request = b"POST /%d HTTP/1.1\r\nHost: a.example\r\n" + OFFERS["h2c"] + b"Content-Length: 2\r\n\r\n%02d"
    async with served(echo, WatchedConnection) as connect:
        client = await connect()

        await client.send(b"".join(request % (number, number) for number in range(5)))

        for number in range(5):
            _, path, _, body = await answer_to(client)
            assert (path, body) == (b"/%d" % number, b"%02d" % number)


async def test_a_body_that_arrives_after_its_offer_was_read_belongs_to_it() -> None:
    async with served(echo, WatchedConnection) as connect:
        client = await connect()
        await client.send(b"POST /late HTTP/1.1\r\nHost: a.example\r\n" + OFFERS["h2c"] + b"Content-Length: 7\r\n\r\n")
        await client.send(b"GET /in")
        await client.send(b"GET /next HTTP/1.1\r\nHost: a.example\r\n\r\n")

        _, path, _, body = await answer_to(client)
        assert (path, body) == (b"/late", b"GET /in")
        _, path, _, body = await answer_to(client)
        assert (path, body) == (b"/next", b"")


async def test_the_connection_says_close_with_an_offer_and_is_closed_after_the_answer() -> None:
    async with served(echo, WatchedConnection) as connect:
        client = await connect()
        await client.send(b"GET /a HTTP/1.1\r\nHost: a.example\r\nConnection: close, Upgrade\r\nUpgrade: h2c\r\n\r\n")

        assert (await answer_to(client))[1] == b"/a"
        assert await client.is_cut()


@pytest.mark.parametrize("packets", ["one", "bytes"])
async def test_a_tunnel_is_refused_and_nothing_behind_it_is_read(packets: str) -> None:
    tunnel = b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n"
    async with served(echo, WatchedConnection) as connect:
        client = await connect()
        # In one packet with what is behind it, or by itself: what comes after the answer could reset the connection.
        behind = b"GET /behind HTTP/1.1\r\nHost: a.example\r\n\r\n" if packets == "one" else b""
        await client.send(*cut(tunnel, packets)[:-1], cut(tunnel, packets)[-1] + behind)

        assert (await client.answer()) == b"HTTP/1.1 501 Not Implemented"
        assert await client.is_cut()


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 4\r\nContent-Length: 5\r\n",
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: ,chunked\r\n",
        b"Content-Length: +4\r\n",
        b"Content-Length: 4 4\r\n",
        b"Content-Length : 4\r\n",
        b"X-Folded: a\r\n b\r\n",
    ],
)
@pytest.mark.parametrize("offer", ["none", "h2c"])
async def test_what_two_readers_could_frame_differently_is_refused_and_the_connection_closed(
    offer: str, head: bytes
) -> None:
    async with served(echo, WatchedConnection) as connect:
        client = await connect()
        await client.send(b"POST /a HTTP/1.1\r\nHost: a.example\r\n" + OFFERS[offer] + head + b"\r\nabcd")

        assert (await client.reader.readline()).startswith(b"HTTP/1.1 400 ")
        rest = await client.reader.read()
        assert b"HTTP/1.1 200" not in rest


@pytest.mark.parametrize("app", [echo, hasty])
async def test_a_connection_that_ends_with_a_trailer_is_closed_and_leaves_nobody_waiting(app: Any) -> None:
    class Patient(WatchedConnection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.timeout_keep_alive = 3600

    async with served(app, Patient) as connect:
        client = await connect()
        await client.send(b"POST /a HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n")
        if app is hasty:
            await client.answer()
        await client.send(b"0\r\nConnection: close\r\n\r\n")

        answered = await client.reader.read()
        assert (b"connection: close" in answered) == (app is echo)


async def test_a_body_that_may_not_come_after_a_final_answer_is_not_waited_for() -> None:
    """The next request of a client that was refused would be read as the body."""
    async with served(hasty, WatchedConnection) as connect:
        client = await connect()
        await client.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 40\r\n\r\n")

        answered = await client.reader.read()
        assert answered.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in answered


@pytest.mark.parametrize(("version", "continues"), [(b"1.1", 1), (b"1.0", 0)])
async def test_a_body_that_waits_for_a_word_gets_it_where_the_version_has_it(version: bytes, continues: int) -> None:
    async with served(echo, WatchedConnection) as connect:
        client = await connect()
        await client.send(HEAD.replace(b"1.1", version) + b"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        await client.send(b"body")

        answered = await client.reader.read()
        assert answered.count(b"HTTP/1.1 100 Continue\r\n\r\n") == continues
        assert answered.endswith(b"\nbody")


async def test_the_host_of_an_absolute_target_counts_and_not_the_header() -> None:
    async def tell_host(scope: Any, _receive: Any, send: Any) -> None:
        hosts = b"".join(value for name, value in scope["headers"] if name == b"host")
        length = (b"content-length", b"%d" % len(hosts))
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": hosts})

    async with served(tell_host, WatchedConnection) as connect:
        client = await connect()
        await client.send(b"GET http://b.example:81/mcp HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")

        assert (await client.reader.read()).endswith(b"\r\n\r\nb.example:81")


async def test_an_offer_behind_a_request_under_way_waits_for_its_turn() -> None:
    go_on = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        if scope["raw_path"] == b"/slow":
            await go_on.wait()
        await echo(scope, receive, send)

    async with served(slow, WatchedConnection) as connect:
        client = await connect()
        await client.send(b"GET /slow HTTP/1.1\r\nHost: a.example\r\n\r\n")
        await client.send(b"POST /b HTTP/1.1\r\nHost: a.example\r\n" + OFFERS["h2c"] + b"Content-Length: 1\r\n\r\nb")
        go_on.set()

        assert (await answer_to(client))[1] == b"/slow"
        _, path, _, body = await answer_to(client)
        assert (path, body) == (b"/b", b"b")


async def test_what_is_refused_behind_a_request_under_way_is_not_taken_for_its_answer() -> None:
    async def silent(_scope: Any, receive: Any, _send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async with served(silent, WatchedConnection) as connect:
        client = await connect()
        await client.send(b"GET /silent HTTP/1.1\r\nHost: a.example\r\n\r\n", b"no request at all\r\n\r\n")

        assert await client.is_cut()
