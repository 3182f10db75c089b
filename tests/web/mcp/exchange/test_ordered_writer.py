"""What is written to one client: in which order, one at a time, and what is kept while it is slow to read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gatepost.web.mcp.exchange.ordered_writer import MOST_POSTED, MOST_POSTED_BYTES, OrderedWriter


class Writer(OrderedWriter):
    """Writes when it is allowed to."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.may_write = asyncio.Event()
        self.is_writing = False

    async def _write(self, message: bytes) -> None:
        assert not self.is_writing
        self.is_writing = True
        await self.may_write.wait()
        await asyncio.sleep(0)
        self.written.append(message)
        self.is_writing = False

    async def all_of(self, *sending: asyncio.Task[None]) -> list[bytes]:
        """What has been written once the client reads, and until the end."""
        self.may_write.set()
        await asyncio.gather(*sending)
        await self.finish(None)
        return self.written


@pytest.fixture
async def writer() -> AsyncIterator[Writer]:
    """A writer to a client that does not read yet, and has its first message under way."""
    writer = Writer()
    first = asyncio.create_task(writer.send(b"first"))
    await asyncio.sleep(0)
    yield writer
    await first


async def sent(writer: Writer, message: bytes) -> asyncio.Task[None]:
    """Send a message, and wait until it waits."""
    task = asyncio.create_task(writer.send(message))
    await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_messages_are_written_in_the_order_in_which_they_were_given_and_one_at_a_time(writer: Writer) -> None:
    one = await sent(writer, b"1")
    writer.post(b"2")
    three = await sent(writer, b"3")
    assert await writer.all_of(one, three) == [b"first", b"1", b"2", b"3"]


async def test_posted_messages_are_written_while_nobody_waits() -> None:
    writer = Writer()
    writer.may_write.set()
    writer.post(b"1")
    writer.post(b"2")
    while len(writer.written) < 2:  # noqa: ASYNC110 - posting tells nobody
        await asyncio.sleep(0)
    assert writer.written == [b"1", b"2"]


async def test_of_too_many_posted_messages_the_oldest_are_dropped(writer: Writer) -> None:
    waiting = await sent(writer, b"sent")
    for number in range(MOST_POSTED + 2):
        writer.post(b"%d" % number)
    posted = [b"%d" % number for number in range(2, MOST_POSTED + 2)]
    assert await writer.all_of(waiting) == [b"first", b"sent", *posted]


async def test_posted_messages_that_are_long_are_dropped_sooner(writer: Writer) -> None:
    third = MOST_POSTED_BYTES // 3
    for text in (b"a", b"b", b"c", b"d"):
        writer.post(text * third)
    assert [message[:1] for message in await writer.all_of()] == [b"f", b"b", b"c", b"d"]


async def test_what_somebody_waits_for_is_never_dropped(writer: Writer) -> None:
    long = b"x" * (2 * MOST_POSTED_BYTES)
    one = await sent(writer, long)
    writer.post(b"one")
    other = await sent(writer, long)
    assert await writer.all_of(one, other) == [b"first", long, b"one", long]


async def test_a_message_that_is_too_long_by_itself_is_still_written(writer: Writer) -> None:
    long = b"x" * (MOST_POSTED_BYTES + 1)
    writer.post(b"one")
    writer.post(long)
    assert await writer.all_of() == [b"first", long]


async def test_what_was_written_makes_room_again() -> None:
    writer, half = Writer(), b"x" * (MOST_POSTED_BYTES // 2)
    writer.may_write.set()
    for count in range(1, 10):
        writer.post(half)
        writer.post(half)
        await writer.send(b"")
        assert writer.written.count(half) == 2 * count


async def test_nothing_is_taken_after_the_last_message(writer: Writer) -> None:
    writer.post(b"1")
    ending = asyncio.create_task(writer.finish(b"last"))
    await asyncio.sleep(0)
    writer.post(b"late")
    await writer.send(b"late")
    assert await writer.all_of(ending) == [b"first", b"1", b"last"]
