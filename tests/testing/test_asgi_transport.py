"""The way from an HTTP client to an app without a socket: answers are read while they are written."""

from __future__ import annotations

import asyncio
import logging

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from gatepost.testing.asgi_transport import StreamedASGITransport

ORIGIN = "https://app.example"


async def test_an_answer_is_read_while_it_is_written() -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-kind", b"stream")]})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"last"})

    async with (
        httpx2.AsyncClient(transport=StreamedASGITransport(app), base_url=ORIGIN) as http,
        http.stream("GET", "/") as answer,
    ):
        parts = answer.aiter_bytes()
        assert (answer.headers["x-kind"], await anext(parts)) == ("stream", b"first")
        go_on.set()
        assert [part async for part in parts] == [b"last"]


async def test_the_app_hears_that_its_client_has_left() -> None:
    heard = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert await receive() == {"type": "http.request", "body": b"question", "more_body": False}
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        assert await receive() == {"type": "http.disconnect"}
        assert scope["state"] == {"of": "the lifespan"}
        heard.set()

    transport = StreamedASGITransport(app, state={"of": "the lifespan"})
    async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as http:
        async with http.stream("POST", "/", content=b"question") as answer:
            assert answer.status_code == 200
        await heard.wait()


async def test_what_an_app_raises_is_an_answer_500_as_of_a_server(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        raise LookupError(scope["path"])

    async with httpx2.AsyncClient(transport=StreamedASGITransport(app), base_url=ORIGIN) as http:
        with caplog.at_level(logging.ERROR):
            answer = await http.get("/here")

    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert [record.getMessage() for record in caplog.records] == ["GET /here failed"]


async def test_the_body_of_an_answer_to_head_is_not_sent() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": scope["method"].encode()})

    async with httpx2.AsyncClient(transport=StreamedASGITransport(app), base_url=ORIGIN) as http:
        assert (await http.head("/")).content == b""


async def test_what_goes_on_after_its_client_has_left_is_ended() -> None:
    ended = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with (
        httpx2.AsyncClient(transport=StreamedASGITransport(app), base_url=ORIGIN) as http,
        http.stream("GET", "/"),
    ):
        assert not ended.is_set()
    assert ended.is_set()


async def test_who_stops_waiting_for_an_answer_is_told_to_the_app() -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, send
        await receive()
        asked.set()
        assert await receive() == {"type": "http.disconnect"}
        left.set()

    async with httpx2.AsyncClient(transport=StreamedASGITransport(app), base_url=ORIGIN) as http:
        asking = asyncio.create_task(http.get("/"))
        await asked.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await left.wait()
