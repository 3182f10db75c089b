"""Plain answers that the connection takes whole (record 0021)."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost.app import create_app
from gatepost.server.server import Server
from gatepost.settings import load_settings
from gatepost.stores.memory import MemoryStore
from gatepost.web.mcp_answers import PLAIN_HEADERS, WHOLE_ANSWER, Answer, send_answer
from tests.top.test_slow_senders import GET, served
from tests.top.test_slow_senders import Impatient as Connection

PLAIN: Answer = (200, b'{"jsonrpc":"2.0"}', ())
LAST = GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")


class App:
    """Answers every request alike, whole if it can, and keeps what it was told."""

    def __init__(self, answer: Answer, *, begins: bool = False, is_ordinary: bool = False) -> None:
        self.answer = answer
        self.begins = begins
        self.is_ordinary = is_ordinary
        self.taken: list[bool] = []

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        if self.begins:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        self.taken.append(not self.is_ordinary and scope[WHOLE_ANSWER](send, self.answer))
        if self.begins:
            await send({"type": "http.response.body", "body": b"begun"})
        elif not self.taken[-1]:
            await send_answer(send, self.answer)


async def heads_and_bodies(app: Any, *requests: bytes) -> list[tuple[set[bytes], bytes]]:
    """Send requests on one connection, and return the lines of each head but its date, and each body."""
    answers = []
    async with served(app, Connection) as connect:
        client = await connect()
        for request in requests:
            await client.send(request)
            head = await client.reader.readuntil(b"\r\n\r\n")
            lines = {line for line in head.split(b"\r\n") if line and not line.startswith(b"date: ")}
            assert head.count(b"date: ") == 1
            length = next(int(line.partition(b": ")[2]) for line in lines if line.startswith(b"content-length"))
            answers.append((lines, await client.reader.readexactly(length)))
    return answers


async def test_a_plain_answer_is_the_same_whole_as_in_the_usual_way() -> None:
    whole, usual = App(PLAIN), App(PLAIN, is_ordinary=True)
    first = await heads_and_bodies(whole, GET, GET)
    second = await heads_and_bodies(usual, GET, GET)
    assert whole.taken == [True, True]
    assert usual.taken == [False, False]
    assert first == second
    lines, body = first[0]
    assert body == PLAIN[1]
    assert {b"%s: %s" % header for header in PLAIN_HEADERS} < lines


@pytest.mark.parametrize("answer", [(400, b"{}", ()), (202, None, ()), (200, b"{}", ((b"mcp-session-id", b"1"),))])
async def test_an_answer_that_is_not_plain_is_sent_in_the_usual_way(answer: Answer) -> None:
    app = App(answer)
    (lines, body), _ = await heads_and_bodies(app, GET, GET)
    assert app.taken == [False, False]
    assert body == (answer[1] or b"")
    assert {b"%s: %s" % header for header in answer[2]} <= lines
    assert any(line.startswith(b"HTTP/1.1 %d " % answer[0]) for line in lines)


async def test_a_layer_in_between_sees_every_answer_and_may_add_to_it() -> None:
    app = App(PLAIN)

    async def layer(scope: Any, receive: Any, send: Any) -> None:
        async def add(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-layer", b"1")]
            await send(message)

        await app(scope, receive, add)

    ((lines, body),) = await heads_and_bodies(layer, GET)
    assert app.taken == [False]
    assert (b"x-layer: 1" in lines, body) == (True, PLAIN[1])


async def test_a_page_that_may_call_is_told_so_with_every_answer() -> None:
    settings = load_settings({"MCP_PUBLIC_URL": "http://localhost:8000", "MCP_REQUIRE_AUTH": "false"}, env_file=None)
    app = create_app(Server("notes"), settings=settings, store=MemoryStore(), announce=lambda _: None)
    ping = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    head = b"POST /mcp HTTP/1.1\r\nhost: localhost:8000\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
    request = head % len(ping) + b"origin: http://localhost:6274\r\n\r\n" + ping
    ((lines, _),) = await heads_and_bodies(app, request)
    assert b"access-control-allow-origin: http://localhost:6274" in lines


async def test_the_last_answer_of_a_connection_says_so_and_is_sent_in_the_usual_way() -> None:
    app = App(PLAIN)
    ((lines, _),) = await heads_and_bodies(app, LAST)
    assert app.taken == [False]
    assert b"connection: close" in lines


async def test_nothing_is_added_to_an_answer_that_has_begun() -> None:
    app = App(PLAIN, begins=True)
    async with served(app, Connection) as connect:
        client = await connect()
        await client.send(GET)
        await client.reader.readuntil(b"\r\n\r\n")
        assert await client.reader.readuntil(b"0\r\n\r\n") == b"5\r\nbegun\r\n0\r\n\r\n"
    assert app.taken == [False]


async def test_requests_sent_ahead_are_answered_in_their_order() -> None:
    app = App(PLAIN)
    async with served(app, Connection) as connect:
        client = await connect()
        await client.send(GET + GET + GET)
        for _ in range(3):
            head = await client.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert await client.reader.readexactly(len(PLAIN[1] or b"")) == PLAIN[1]
    assert app.taken == [True] * 3
