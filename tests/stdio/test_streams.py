"""Pipes on both sides of a served target, in this process."""

import asyncio
import json
import os
from collections.abc import Iterator

import pytest

from gatepost import Server
from gatepost.server.dispatch import ServerTarget
from gatepost.stdio import streams
from gatepost.stdio.serving import encoded_headers, serve_streams
from gatepost.stdio.streams import Writer
from tests.patience import PATIENCE

PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n'


@pytest.fixture
def pipes() -> Iterator[tuple[int, int, int, int]]:
    """Where the server reads, where its client writes, where the client reads, where the server writes."""
    ends = (*os.pipe(), *os.pipe())
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


async def serve(pipes: tuple[int, int, int, int], stop: asyncio.Event) -> None:
    async with asyncio.timeout(PATIENCE):
        await serve_streams(ServerTarget(Server("notes")), (pipes[0], pipes[3]), headers={}, stop=stop)


async def test_the_end_of_input_is_the_end_and_the_last_line_needs_no_newline(
    pipes: tuple[int, int, int, int],
) -> None:
    os.write(pipes[1], PING + PING.strip().replace(b":1", b":2"))
    os.close(pipes[1])
    await serve(pipes, asyncio.Event())
    assert {json.loads(answer)["id"] for answer in os.read(pipes[2], 4096).splitlines()} == {1, 2}


async def test_stopping_ends_it_while_input_is_open(pipes: tuple[int, int, int, int]) -> None:
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(pipes, stop))
    os.write(pipes[1], PING)
    await asyncio.to_thread(os.read, pipes[2], 4096)
    stop.set()
    await serving


async def test_a_client_that_reads_no_more_ends_it(pipes: tuple[int, int, int, int]) -> None:
    os.close(pipes[2])
    os.write(pipes[1], PING)
    await serve(pipes, asyncio.Event())


async def test_who_sends_waits_for_a_slow_client_and_posts_are_dropped(
    pipes: tuple[int, int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_SLOW", 100_000)
    monkeypatch.setattr(streams, "_TOO_SLOW", 100_000)
    writer = Writer(pipes[3], lambda: None)
    sending = asyncio.create_task(writer.send(b"x" * 1_000_000))
    await asyncio.sleep(0)
    assert not sending.done()
    writer.post(b"dropped")
    received = b""
    while not received.endswith(b"\n"):
        received += await asyncio.to_thread(os.read, pipes[2], 65536)
    await sending
    writer.post(b"kept")
    await writer.finish(5)
    assert (len(received), os.read(pipes[2], 100)) == (1_000_001, b"kept\n")


def test_headers_are_lower_case_and_joined() -> None:
    assert encoded_headers([("X-Team", " a "), ("x-team", "b")]) == {b"x-team": b"a, b"}


@pytest.mark.parametrize("header", [("", "a"), ("a b", "c"), ("a", "b\nc"), ("a", "ü")])
def test_what_is_no_header_is_refused(header: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="a header is"):
        encoded_headers([header])
