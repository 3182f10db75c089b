"""No address holds all connections with silence (docs/limits.md, "Connections"). Raw sockets, and no time."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from gatepost.listening.connection_shares import ConnectionShares, sharing
from gatepost.web.site.client_address import ClientAddresses
from gatepost.web.site.plain_answers import FAST_PATH
from tests.listening.test_slow_senders import GET, HEAD, Client, served
from tests.web.mcp.mcp_harness import PING, READER, McpWorld, headers_for
from tests.web.resource.test_application import guarded

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="all of 127.0.0.0/8 is loopback on Linux only")

HOME, ATTACKER, ANOTHER = "127.0.0.1", "127.0.0.2", "127.0.0.3"
CAPACITY = 200
SHARE = 64
CROWDED = 160


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer; a path says whether a token verified, or whether to wait for the client's leaving."""
    scope[FAST_PATH].is_verified = b"token" in scope["raw_path"]
    if b"slow" in scope["raw_path"]:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
    while (message := await receive())["type"] == "http.request":
        if b"slow" not in scope["raw_path"] and not message["more_body"]:
            break
    if b"slow" not in scope["raw_path"]:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


def get(path: bytes) -> bytes:
    return GET.replace(b"/here", path)


class Crowd:
    """Many connections to one server, from several addresses."""

    def __init__(self, connect: Any) -> None:
        self._connect = connect

    async def connect(self, address: str = HOME, *requests: bytes) -> Client:
        """Connect, and send requests of which each is answered."""
        client: Client = await self._connect((address, 0))
        for request in requests:
            await client.send(request)
            assert await client.answer() == b"HTTP/1.1 200 OK"
        return client

    async def connect_many(self, count: int, address: str, *requests: bytes) -> list[Client]:
        return [await self.connect(address, *requests) for _ in range(count)]


@asynccontextmanager
async def crowd(capacity: int = CAPACITY, trusted: tuple[str, ...] = ()) -> AsyncIterator[Crowd]:
    async with served(app, sharing(capacity, trusted)) as connect:
        yield Crowd(connect)


async def is_served(client: Client, path: bytes = b"/here") -> bool:
    await client.send(get(path))
    return await client.answer() == b"HTTP/1.1 200 OK"


async def cut_of(clients: list[Client]) -> list[int]:
    """Return which of the connections have ended, once the server has seen all that was sent."""
    for client in clients:
        if not client.reader.at_eof():
            client.writer.write(get(b"/here"))
    answers = await asyncio.gather(*(client.answer() for client in clients), return_exceptions=True)
    return [number for number, answer in enumerate(answers) if isinstance(answer, Exception)]


async def test_one_address_cannot_hold_all_connections_with_silence() -> None:
    async with crowd() as here:
        attackers = await here.connect_many(2 * CAPACITY, ATTACKER)
        assert await is_served(await here.connect(HOME))
        # It has its share, the latest ones; what it had before has made room.
        assert await cut_of(attackers) == list(range(2 * CAPACITY - SHARE))


async def test_a_new_connection_takes_the_place_of_the_longest_silent_one_of_its_address() -> None:
    async with crowd() as here:
        first, second, *others = await here.connect_many(SHARE, ATTACKER)
        assert await is_served(first)
        newest = await here.connect(ATTACKER)
        assert await second.is_cut()
        assert await cut_of([first, *others, newest]) == []


@pytest.mark.parametrize("begun", [b"", b"GET /he", HEAD + b"content-length: 9\r\n\r\nrest"])
async def test_a_request_that_is_not_completed_is_silence(begun: bytes) -> None:
    async with crowd() as here:
        attackers = await here.connect_many(SHARE, ATTACKER)
        for attacker in attackers:
            await attacker.send(begun)
        assert await is_served(await here.connect(ATTACKER))
        assert await attackers[0].is_cut()


async def test_what_is_being_answered_is_never_closed_and_what_finds_no_place_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with crowd() as here:
        streams = await here.connect_many(SHARE, ATTACKER)
        for stream in streams:
            await stream.send(get(b"/slow"))
            await stream.reader.readuntil(b"\r\n\r\n")
        refused = await here.connect(ATTACKER)
        answer = await refused.reader.read()
        assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"retry-after: 5\r\n" in answer
        assert answer.endswith(b"no connection left for your address. Try again in a few seconds.\n")
        assert caplog.messages == ["connections are refused; 64 of 200 are in use"]
        assert await is_served(await here.connect(HOME))
        streams[0].writer.close()
        # As soon as the server has seen that, there is room.
        while (client := await here.connect(ATTACKER)) is not None:
            await client.send(GET)
            if await client.answer() == b"HTTP/1.1 200 OK":
                break


@pytest.mark.parametrize(("requests", "size"), [(1, 1_000_000), (4, 62_000)])  # a writer waits where 64 KiB do already
async def test_a_client_that_does_not_read_makes_room_and_leaves_no_open_file(requests: int, size: int) -> None:
    is_open: set[Any] = set()

    class SmallBuffers(sharing(CAPACITY, ())):  # type: ignore[misc] # a class that is made
        def connection_made(self, transport: Any) -> None:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            is_open.add(transport)
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            is_open.discard(self.transport._transport)
            super().connection_lost(exc)

    async def long(scope: Any, receive: Any, send: Any) -> None:
        if scope["raw_path"] == b"/here":
            await app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
        await send({"type": "http.response.body", "body": b"x" * size})

    async with served(long, SmallBuffers) as connect:
        here = Crowd(connect)
        for _ in range(SHARE + 20):
            attacker = await here.connect(ATTACKER)
            # From here on it reads nothing.
            attacker.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            cast("asyncio.Transport", attacker.writer.transport).pause_reading()
            await attacker.send(get(b"/long") * requests)
            assert await is_served(await here.connect(HOME))
        assert await is_served(await here.connect(ATTACKER))
        assert len(is_open) <= 2 * SHARE


async def test_connections_with_a_verified_token_count_apart() -> None:
    async with crowd() as here:
        users = await here.connect_many(SHARE + 10, HOME, get(b"/token"))
        strangers = await here.connect_many(SHARE, HOME)
        assert await cut_of(users + strangers) == []


async def test_the_latest_request_counts() -> None:
    async with crowd() as here:
        former = await here.connect_many(SHARE, HOME, get(b"/token"), get(b"/here"))
        assert await is_served(await here.connect(HOME))
        assert await former[0].is_cut()


async def test_where_few_are_left_the_address_with_most_silent_ones_makes_room() -> None:
    async with crowd() as here:
        users = await here.connect_many(CROWDED - SHARE - 10, HOME, get(b"/token"))
        few = await here.connect_many(10, ANOTHER)
        attackers = await here.connect_many(SHARE, ATTACKER)
        newcomers = await here.connect_many(20, "127.0.0.4", GET)

        # Two at a time, a hundredth part of all.
        assert await cut_of(attackers) == list(range(20))
        assert await cut_of([*users, *few, *newcomers]) == []


async def test_where_none_is_left_nobody_who_is_known_is_closed_and_all_of_them_go_on() -> None:
    async with crowd() as here:
        users = await here.connect_many(CAPACITY, HOME, get(b"/token"))
        refused = await here.connect(ATTACKER)
        assert (await refused.reader.read()).startswith(b"HTTP/1.1 503 ")
        assert await cut_of(users) == []


async def test_trusted_proxies_are_exempt() -> None:
    async with crowd(trusted=("127.0.0.2/32",)) as here:
        proxied = await here.connect_many(CROWDED + 10, ATTACKER)
        assert await is_served(await here.connect(HOME))
        assert await cut_of(proxied) == []


class Peer:
    """What shares look at of a connection that is silent."""

    def __init__(self, host: str | None, loop: asyncio.AbstractEventLoop) -> None:
        self.client = None if host is None else (host, 1)
        self.loop = loop
        self.share_key: str | None = None
        self.transport = self
        self.is_closed = False

    def is_verified(self) -> bool:
        return False

    def silent_since(self) -> float:
        return 0

    def close(self) -> None:
        self.is_closed = True

    def get_write_buffer_size(self) -> int:
        return 0


async def test_an_ipv6_network_is_one_address_and_a_unix_socket_none() -> None:
    shares = ConnectionShares(1000, ClientAddresses())
    loop = asyncio.get_running_loop()

    def closed(hosts: list[str | None]) -> int:
        peers: list[Any] = [Peer(host, loop) for host in hosts]
        assert all(shares.admit(peer) for peer in peers)
        return sum(peer.is_closed for peer in peers)

    assert closed([f"2001:db8::{number}" for number in range(110)]) == 10
    assert closed([f"2001:db8:0:{number}::1" for number in range(1, 111)]) == 0
    assert closed([None] * 110) == 0


async def test_the_count_comes_out_even() -> None:
    is_empty = asyncio.Event()

    class Telling(sharing(CAPACITY, ())):  # type: ignore[misc] # a class that is made
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if not self.shares._held:
                is_empty.set()

    async with served(app, Telling) as connect:
        here = Crowd(connect)
        for client in await here.connect_many(SHARE + 5, ATTACKER) + await here.connect_many(5, HOME, GET):
            client.writer.close()
        await is_empty.wait()
    assert Telling.shares._count == 0


def ping(line: bytes, token: str) -> bytes:
    """Return a ping, which is any body to an application."""
    body = json.dumps(PING).encode()
    headers = [*headers_for(token=token), (b"content-length", b"%d" % len(body))]
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    return b"%s HTTP/1.1\r\n%s\r\n%s" % (line, lines, body)


async def status_of(client: Client, sent: bytes) -> int:
    await client.send(sent)
    head = (await client.reader.readuntil(b"\r\n\r\n")).lower()
    await client.reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
    return int(head.split(b" ", 2)[1])


@pytest.mark.parametrize(
    ("app", "line"), [(McpWorld().endpoint, b"POST /mcp"), (guarded(), b"GET /mcp/who")], ids=["MCP", "application"]
)
async def test_a_connection_is_known_by_the_token_of_its_request(app: Any, line: bytes) -> None:
    async with served(app, sharing(CAPACITY, ())) as connect:
        here = Crowd(connect)
        user, stranger = await here.connect(), await here.connect()
        assert await status_of(user, ping(line, READER)) == 200
        assert await status_of(stranger, ping(line, "unknown")) == 401
        await here.connect_many(2 * SHARE, HOME)
        assert await stranger.is_cut()
        assert await status_of(user, ping(line, READER)) == 200
