import asyncio
from collections.abc import Sequence

import pytest
from starlette.types import Message, Receive

from gatepost.web.site.request_body import BodyTooLarge, BodyTooSlow, ClientDisconnected, media_type, read_body


def receiving(messages: Sequence[Message]) -> Receive:
    waiting = list(messages)

    async def receive() -> Message:
        return waiting.pop(0)

    return receive


def body(chunk: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": chunk, "more_body": more}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([{"type": "http.request"}], b""),
        ([body(b"")], b""),
        ([body(b"12345")], b"12345"),
        ([body(b"12", more=True), body(b"345")], b"12345"),
        ([body(b"", more=True), body(b"12345", more=True), body(b"")], b"12345"),
    ],
)
async def test_a_body_is_read_whole(messages: list[Message], expected: bytes) -> None:
    assert await read_body(receiving(messages), limit=5) == expected


async def test_a_single_chunk_is_not_copied() -> None:
    chunk = bytes(bytearray(b"chunk"))
    assert await read_body(receiving([body(chunk)]), limit=5) is chunk


@pytest.mark.parametrize(
    "messages", [[body(b"123456")], [body(b"123", more=True), body(b"456", more=True), body(b"never read")]]
)
async def test_reading_stops_at_the_limit(messages: list[Message]) -> None:
    receive = receiving(messages)
    with pytest.raises(BodyTooLarge, match="send at most 5 bytes") as refusal:
        await read_body(receive, limit=5)
    assert refusal.value.limit == 5
    if len(messages) > 1:
        assert await receive() == messages[-1]


@pytest.mark.parametrize("before", [[], [body(b"12", more=True)]])
async def test_a_client_that_goes_away_is_told_apart_from_the_end_of_its_body(before: list[Message]) -> None:
    with pytest.raises(ClientDisconnected):
        await read_body(receiving([*before, {"type": "http.disconnect"}]), limit=5)


def trickling(messages: Sequence[Message], rest: asyncio.Event) -> Receive:
    """Messages that come at once, and others that come when `rest` is set."""
    receive = receiving(messages)
    first = True

    async def receive_slowly() -> Message:
        nonlocal first
        if not first or len(messages) == 1:
            await rest.wait()
        first = False
        return await receive()

    return receive_slowly


@pytest.mark.parametrize("messages", [[body(b"12")], [body(b"12", more=True), body(b"345")]])
async def test_a_body_that_does_not_come_in_time_is_not_waited_for(messages: list[Message]) -> None:
    with pytest.raises(BodyTooSlow):
        await read_body(trickling(messages, asyncio.Event()), limit=5, seconds=0)


async def test_a_body_that_comes_in_time_is_read_whole() -> None:
    rest = asyncio.Event()
    reading = asyncio.create_task(read_body(trickling([body(b"12", more=True), body(b"345")], rest), limit=5))
    await asyncio.sleep(0)
    rest.set()
    assert await reading == b"12345"


async def test_reading_can_be_cancelled() -> None:
    reading = asyncio.create_task(read_body(trickling([body(b"12")], asyncio.Event()), limit=5))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([b""], None),
        ([b"application/json"], "application/json"),
        ([b" Application/JSON ; charset=utf-8"], "application/json"),
        ([b"application/json, text/plain"], "application/json, text/plain"),
        ([b"application/json", b"application/json"], None),
        ([b"\xff/x"], "ÿ/x"),
    ],
)
def test_the_media_type_is_the_one_that_the_sender_named(values: list[bytes], expected: str | None) -> None:
    headers = [(b"accept", b"text/html"), *((b"Content-Type", value) for value in values)]
    assert media_type(headers) == expected
