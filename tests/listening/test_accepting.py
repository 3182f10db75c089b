"""Who of several processes at one listener takes a connection. Two in one event loop stand for two processes."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Iterator

import pytest

from gatepost.listening import accepting
from gatepost.listening.accepting import ConnectionCounts, SharedListener, new_counts


@pytest.fixture
def counts() -> Iterator[ConnectionCounts]:
    file = new_counts(3)
    yield ConnectionCounts(file, 3)
    os.close(file)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


class Worker:
    """What one process would be."""

    def __init__(self, listener: socket.socket, counts: ConnectionCounts, slot: int) -> None:
        self.begun: list[asyncio.Transport] = []
        self._came = asyncio.Condition()
        self.socket = listener.dup()  # one event loop watches a descriptor once
        self.counts, self.slot = counts, slot
        counts.begin(slot)
        self.shared = SharedListener(self.socket, counts=counts, slot=slot, make_protocol=self._protocol)

    def _protocol(self) -> asyncio.Protocol:
        worker = self

        class Held(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                assert isinstance(transport, asyncio.Transport)
                worker.begun.append(transport)

            def connection_lost(self, _exc: Exception | None) -> None:
                worker.counts.add(worker.slot, -1)

        return Held()

    async def has(self, connections: int) -> None:
        async with asyncio.timeout(60):
            while len(self.begun) < connections:  # noqa: ASYNC110 - up to the bound
                await asyncio.sleep(0.001)

    def end(self) -> None:
        self.shared.close()
        for transport in self.begun:
            transport.abort()
        self.socket.close()


@pytest.fixture
async def pair(listener: socket.socket, counts: ConnectionCounts) -> Iterator[tuple[Worker, Worker]]:  # type: ignore[misc]
    one, other = Worker(listener, counts, 0), Worker(listener, counts, 1)
    yield one, other
    one.end()
    other.end()


def connect(listener: socket.socket) -> socket.socket:
    return socket.create_connection(listener.getsockname())


async def test_the_worker_with_fewer_connections_takes_the_next_one(
    pair: tuple[Worker, Worker], listener: socket.socket, counts: ConnectionCounts
) -> None:
    one, other = pair
    counts.add(0, 3)
    with connect(listener), connect(listener), connect(listener):
        await other.has(3)
        assert one.begun == []


async def test_many_that_come_at_once_are_shared_out_evenly(
    pair: tuple[Worker, Worker], listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepting, "_TURN_SECONDS", 30)
    one, other = pair
    clients = [connect(listener) for _ in range(20)]
    await asyncio.sleep(0)
    # Whoever has left one to the other waits out its turn; both have their first at once.
    await one.has(1)
    await other.has(1)
    for client in clients:
        client.close()


async def test_a_worker_that_has_more_takes_what_those_with_fewer_do_not_come_to(
    listener: socket.socket, counts: ConnectionCounts
) -> None:
    busy = 1
    counts.begin(busy)
    one = Worker(listener, counts, 0)
    counts.add(0, 5)
    with connect(listener), connect(listener):
        await one.has(2)
    one.end()


async def test_nobody_waits_for_a_worker_that_accepts_nothing_any_more(
    pair: tuple[Worker, Worker], listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepting, "_TURN_SECONDS", 1_000_000)
    one, other = pair
    one.counts.add(0, 5)
    assert other.shared.is_serving()
    other.shared.close()
    other.shared.close()
    assert not other.shared.is_serving()
    with connect(listener):
        await one.has(1)
        await one.shared.wait_closed()
        assert other.begun == []


async def test_a_connection_that_ends_before_it_is_served_is_counted_no_more(
    listener: socket.socket, counts: ConnectionCounts
) -> None:
    refused = asyncio.Event()

    def refuse() -> asyncio.Protocol:
        refused.set()
        raise OSError(errno.ECONNRESET, "gone")

    counts.begin(0)
    counts.begin(1)
    shared = SharedListener(listener, counts=counts, slot=0, make_protocol=refuse)
    with connect(listener) as client:
        await refused.wait()
        await shared.wait_closed()
        client.settimeout(60)
        assert client.recv(1) == b""
    assert not counts.others_have_fewer(0)
    shared.close()


class Exhausted(socket.socket):
    """A listener of a process that has no file descriptor left for as long as `left` says."""

    left = 2

    def accept(self) -> tuple[socket.socket, object]:
        if self.left:
            self.left -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


async def test_without_a_file_descriptor_left_it_says_so_and_tries_again_later(
    counts: ConnectionCounts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accepting, "_PAUSE_SECONDS", 0.001)
    with Exhausted() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        came = asyncio.Event()

        class Held(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                came.set()
                transport.close()

        counts.begin(0)
        shared = SharedListener(listener, counts=counts, slot=0, make_protocol=Held)
        with connect(listener):
            await came.wait()
        shared.close()
    assert caplog.text.count("no connection can be accepted: Too many open files") == 2
