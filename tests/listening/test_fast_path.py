"""Requests and plain answers that are handed over whole (record 0021)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from gatepost.app import create_app
from gatepost.configuration.settings import load_settings
from gatepost.listening.flow_control import LightFlowControl
from gatepost.server.server import Server
from gatepost.stores.sql.sqlite import memory_store
from gatepost.web.mcp.exchange.answers import PLAIN as PLAIN_HEAD
from gatepost.web.mcp.exchange.answers import Answer, send_answer
from gatepost.web.site.disconnect import run_while_connected
from gatepost.web.site.plain_answers import FAST_PATH
from gatepost.web.site.request_body import ClientDisconnected
from gatepost.web.site.responses import json_response
from tests.listening.test_slow_senders import GET, served
from tests.listening.test_slow_senders import Impatient as Connection

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
        self.taken.append(not self.is_ordinary and scope[FAST_PATH].answer(send, self.answer))
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
    assert {b"%s: %s" % header for header in PLAIN_HEAD.headers} < lines


async def test_json_that_nobody_may_keep_is_the_same_whole_as_in_the_usual_way() -> None:
    async def endpoint(scope: Any, receive: Any, send: Any) -> None:
        await json_response({"access_token": "x"})(scope, receive, send)

    async def layer(scope: Any, receive: Any, send: Any) -> None:
        async def passed_on(message: Any) -> None:
            await send(message)

        await endpoint(scope, receive, passed_on)

    whole, *_ = first = await heads_and_bodies(endpoint, GET, GET)
    assert first == await heads_and_bodies(layer, GET, GET)
    lines, body = whole
    assert body == b'{"access_token":"x"}'
    assert {b"cache-control: no-store", b"pragma: no-cache", b"content-type: application/json"} < lines


async def test_what_is_added_to_json_that_nobody_may_keep_is_sent() -> None:
    async def endpoint(scope: Any, receive: Any, send: Any) -> None:
        response = json_response({"access_token": "x"})
        response.headers["x-more"] = "1"
        await response(scope, receive, send)

    ((lines, body),) = await heads_and_bodies(endpoint, GET)
    assert {b"x-more: 1", b"cache-control: no-store"} < lines
    assert body == b'{"access_token":"x"}'


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
    app = create_app(Server("notes"), settings=settings, store=memory_store(), announce=lambda _: None)
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


class Reader:
    """Takes the body whole if it can, and keeps what it was given; then reads on in the usual way."""

    def __init__(self, limit: int = 10) -> None:
        self.limit = limit
        self.may_read = asyncio.Event()
        self.read: asyncio.Queue[tuple[bytes | None, Any]] = asyncio.Queue()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.may_read.wait()
        taken = scope[FAST_PATH].take_body(receive, self.limit)
        self.read.put_nowait((taken, await receive()))
        await send_answer(send, PLAIN)


async def read_by(app: Reader, *parts: bytes, through: Any = None) -> tuple[bytes | None, Any]:
    """Send a request in parts, the first of which begins it, and return what the app read."""
    async with served(through or app, Connection) as connect:
        client = await connect()
        await client.send(*parts)
        app.may_read.set()
        return await app.read.get()


POST = b"POST /here HTTP/1.1\r\nhost: a.example\r\ncontent-length: 4\r\n\r\n"


async def test_a_body_that_is_all_here_is_taken_whole_and_once() -> None:
    taken, rest = await read_by(Reader(), POST + b"body")
    assert taken == b"body"
    assert (rest["type"], rest["body"], rest["more_body"]) == ("http.request", b"", False)


async def test_a_body_longer_than_the_limit_is_left_for_who_says_so() -> None:
    taken, rest = await read_by(Reader(limit=3), POST + b"body")
    assert taken is None
    assert rest["body"] == b"body"


async def test_a_body_of_which_something_is_missing_is_not_taken() -> None:
    app = Reader()
    app.may_read.set()
    async with served(app, Connection) as connect:
        client = await connect()
        await client.send(POST + b"bo")
        taken, rest = await app.read.get()
    assert taken is None
    assert (rest["body"], rest["more_body"]) == (b"bo", True)


async def test_a_layer_in_between_that_wants_to_see_the_body_does() -> None:
    app = Reader()

    async def layer(scope: Any, receive: Any, send: Any) -> None:
        async def louder() -> Any:
            message = await receive()
            return {**message, "body": message["body"].upper()}

        await app(scope, louder, send)

    taken, rest = await read_by(app, POST + b"body", through=layer)
    assert taken is None
    assert rest["body"] == b"BODY"


class Waiter:
    """Waits for each request's client to go away, or for as long as it may, and keeps what came of it."""

    def __init__(self, *, is_ordinary: bool = False) -> None:
        self.is_ordinary = is_ordinary
        self.begun: asyncio.Queue[int] = asyncio.Queue()
        self.ended: asyncio.Queue[str] = asyncio.Queue()
        self.may_end = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        watch = None if self.is_ordinary else scope[FAST_PATH]
        body = b""
        while (message := await receive())["more_body"]:
            body += message["body"]
        before = len(asyncio.all_tasks())

        async def wait() -> None:
            # Its companion, if there is one, is there from the next step on.
            await asyncio.sleep(0)
            self.begun.put_nowait(len(asyncio.all_tasks()) - before)
            await self.may_end.wait()

        try:
            await run_while_connected(wait(), receive, watch=watch)
        except ClientDisconnected:
            self.ended.put_nowait("gone")
        else:
            await send_answer(send, PLAIN)
            self.ended.put_nowait("answered")


@pytest.mark.parametrize("is_ordinary", [False, True])
async def test_work_that_waits_hears_of_a_disconnect_without_a_task(is_ordinary: bool) -> None:
    app = Waiter(is_ordinary=is_ordinary)
    async with served(app, Connection) as connect:
        client = await connect()
        await client.send(POST + b"body")
        assert await app.begun.get() == (1 if is_ordinary else 0)
        client.writer.close()
        assert await app.ended.get() == "gone"


async def test_a_disconnect_behind_a_long_body_is_heard() -> None:
    body = b"x" * 1_000_000
    app = Waiter()
    async with served(app, Connection) as connect:
        client = await connect()
        await client.send(b"POST / HTTP/1.1\r\nhost: a.example\r\ncontent-length: %d\r\n\r\n" % len(body), body)
        await app.begun.get()
        client.writer.close()
        assert await app.ended.get() == "gone"


async def test_every_request_on_a_connection_that_is_refused_hears_of_it() -> None:
    app = Waiter()
    async with served(app, Connection) as connect:
        client = await connect()
        await client.send(POST + b"body")
        await app.begun.get()
        await client.send(b"no request at all\r\n\r\n")
        assert await app.ended.get() == "gone"


async def test_a_request_that_was_answered_hears_of_nothing() -> None:
    app = Waiter()
    async with served(app, Connection) as connect:
        client = await connect()
        await client.send(POST + b"body")
        await app.begun.get()
        app.may_end.set()
        assert await app.ended.get() == "answered"
        await client.send(POST + b"body")
        await app.begun.get()
        assert await app.ended.get() == "answered"
        client.writer.close()
    assert app.ended.empty()


class Streaming:
    """Begins a stream, and sends parts of it at once where it can; keeps whether it could."""

    def __init__(self, *, is_ordinary: bool = False) -> None:
        self.is_ordinary = is_ordinary
        self.sent: list[bool] = []

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        path = scope[FAST_PATH]
        self.sent.append(path.write(send, b"early"))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in (b"one", b"two" * 10):
            if self.is_ordinary:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            else:
                self.sent.append(path.write(send, part))
        self.sent.append(path.write(lambda _message: None, b"a layer in between"))
        await send({"type": "http.response.body", "body": b""})
        self.sent.append(path.write(send, b"late"))


async def test_a_part_of_a_stream_is_the_same_at_once_as_in_the_usual_way() -> None:
    answers = []
    for app in (at_once := Streaming(), Streaming(is_ordinary=True)):
        async with served(app, Connection) as connect:
            client = await connect()
            await client.send(GET)
            await client.reader.readuntil(b"\r\n\r\n")
            answers.append(await client.reader.readuntil(b"0\r\n\r\n"))

    assert answers[0] == answers[1] == b"3\r\none\r\n1e\r\n" + b"two" * 10 + b"\r\n0\r\n\r\n"
    assert at_once.sent == [False, True, True, False, False]


class Resting:
    """Waits for its client without listening, and holds nothing that only reading needs."""

    def __init__(self) -> None:
        self.begun, self.gone = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope[FAST_PATH]
        path.take_body(receive, 10)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        assert path.on_disconnect(receive, self.gone.set)
        path.rest()
        self.begun.set()
        await self.gone.wait()


async def test_a_request_that_rests_hears_of_its_disconnect() -> None:
    app = Resting()
    async with served(app, Connection) as connect:
        client = await connect()
        await client.send(POST + b"body")
        await app.begun.wait()
        client.writer.close()
        await app.gone.wait()


async def test_flow_control_is_that_of_uvicorn() -> None:
    """Whoever upgrades uvicorn learns here that its connections ask for more than ours has."""

    def public(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    transport: Any = Transport()
    ours, theirs = LightFlowControl(transport), FlowControl(transport)
    assert public(LightFlowControl) == public(FlowControl) | {name for name in vars(theirs) if name[0] != "_"}
    for flow in (ours, theirs):
        flow.pause_reading()
        flow.pause_reading()
        flow.pause_writing()
        waiting = asyncio.create_task(flow.drain())
        await asyncio.sleep(0)
        assert (waiting.done(), flow.read_paused, flow.write_paused) == (False, True, True)
        flow.resume_writing()
        flow.resume_reading()
        await waiting
        await flow.drain()
        assert (flow.read_paused, flow.write_paused) == (False, False)
    assert transport.called == ["pause_reading", "resume_reading"] * 2


class Transport:
    """Keeps what was called of it."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def pause_reading(self) -> None:
        self.called.append("pause_reading")

    def resume_reading(self) -> None:
        self.called.append("resume_reading")
