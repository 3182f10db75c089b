"""Many idle `subscriptions/listen` streams (modern era): what each costs in memory, how fast a change reaches all."""

from __future__ import annotations

import asyncio
import itertools
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from benchmarks.machine import resident_bytes
from benchmarks.messages import Caller, Era, Request, WrongAnswer
from benchmarks.peers import Peer, Prepared
from benchmarks.processes import ServerFailed, ServerProcess

STREAMS: Final = 10_000
_AT_ONCE: Final = 100
_ANSWER_SECONDS: Final = 15
_BROADCAST_SECONDS: Final = 20
_SPARE_FILES: Final = 200
_ACKNOWLEDGED: Final = b"notifications/subscriptions/acknowledged"
_CHANGED: Final = b"notifications/tools/list_changed"


@dataclass(frozen=True, slots=True)
class Streams:
    """What came of it, or why nothing did."""

    count: int = 0
    bytes_each: float = 0.0
    seconds_to_open: float = 0.0
    seconds_to_all: float = 0.0
    """From sending the call that changes the list until the last stream has heard of it, our own reading included."""
    failure: str | None = None


def measure(
    peers: Sequence[Peer], *, count: int, directory: Path, until: float, say: Callable[[str], None]
) -> dict[str, Streams]:
    """Open `count` streams at each peer, or as many as it keeps, let them be idle, change the tools, wait for all."""
    count = min(count, _raise_file_limit() - _SPARE_FILES)
    results = {}
    for peer in peers:
        if not peer.streams:
            continue
        if time.monotonic() >= until:
            results[peer.key] = Streams(failure="not measured: the time was up")
            continue
        own = directory / f"{peer.key}-streams"
        own.mkdir()
        results[peer.key] = _measure_one(Prepared(peer, own), min(count, peer.streams))
        say(f"streams: {peer.title}: {_told(results[peer.key])}")
    return results


def _told(streams: Streams) -> str:
    if streams.failure is not None:
        return streams.failure
    return (
        f"{streams.count} streams, {streams.bytes_each / 1000:.0f} kB each, opened in {streams.seconds_to_open:.1f} s, "
        f"a change reached all in {streams.seconds_to_all:.2f} s"
    )


def _raise_file_limit() -> int:
    """Allow as many open files as we may; servers inherit it. Return the number."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _measure_one(prepared: Prepared, count: int) -> Streams:
    try:
        with prepared.start() as process:
            process.wait_until_listening()
            return asyncio.run(_listen(prepared, process, count))
    except (WrongAnswer, ServerFailed, OSError, EOFError, TimeoutError) as error:
        return Streams(failure=str(error) or type(error).__name__)


async def _listen(prepared: Prepared, process: ServerProcess, count: int) -> Streams:
    callers = [Caller(token, Era.MODERN) for token in prepared.tokens]
    # The first one tells whether the server listens at all, and pays for what is loaded at first use.
    listeners = [await _open(prepared, callers[0].listen(0))]
    before, began = resident_bytes(process.pid), time.perf_counter()
    try:
        for numbers in _batched(range(1, count), _AT_ONCE):
            opening = (_open(prepared, callers[n % len(callers)].listen(n)) for n in numbers)
            listeners += await asyncio.gather(*opening)
        opened = time.perf_counter() - began
        resident = resident_bytes(process.pid)
        heard = [listener.hear(_CHANGED) for listener in listeners]
        began = time.perf_counter()
        trigger = asyncio.to_thread(_trigger, prepared, callers[0].trigger("announce", 1))
        async with asyncio.timeout(_BROADCAST_SECONDS):
            await asyncio.gather(trigger, *heard)
        return Streams(count, (resident - before) / (count - 1), opened, time.perf_counter() - began)
    finally:
        for listener in listeners:
            listener.close()


async def _open(prepared: Prepared, request: Request) -> _Listener:
    """Open one stream and wait for its acknowledgement.

    Raises:
        WrongAnswer: the server does not answer with a stream.
    """
    headers = {**request.headers, "Host": f"127.0.0.1:{prepared.port}", "Content-Length": str(len(request.body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    sent = f"POST {prepared.peer.path} HTTP/1.1\r\n{head}\r\n".encode() + request.body
    _, listener = await asyncio.get_running_loop().create_connection(
        lambda: _Listener(sent), "127.0.0.1", prepared.port
    )
    async with asyncio.timeout(_ANSWER_SECONDS):
        await listener.hear(_ACKNOWLEDGED)
    return listener


class _Listener(asyncio.Protocol):
    """One stream. A protocol and no reader: of ten thousand, the client's own work would be what is measured."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._unread = b""
        self._transport: asyncio.Transport | None = None
        self._awaited: tuple[bytes, asyncio.Future[None]] | None = None
        self._is_accepted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if not self._is_accepted:
            head, end, rest = self._unread.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 200") or b"text/event-stream" not in head.lower():
                status = head.splitlines()[0].decode()
                self._fail(WrongAnswer(f"subscriptions/listen was refused ({status})"))
                return
            self._is_accepted, self._unread = True, rest
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._fail(EOFError("a stream ended before its time"))

    def hear(self, method: bytes) -> asyncio.Future[None]:
        """Return what is done once a notification of this method has arrived."""
        future = asyncio.get_running_loop().create_future()
        self._awaited = method, future
        self._look()
        return future

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _look(self) -> None:
        if self._is_accepted and self._awaited is not None and self._awaited[0] in self._unread:
            self._unread = b""
            if not self._awaited[1].done():
                self._awaited[1].set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._awaited is not None and not self._awaited[1].done():
            self._awaited[1].set_exception(error)


def _trigger(prepared: Prepared, request: Request) -> None:
    connection = prepared.connect()
    try:
        connection.check(request)
    finally:
        connection.close()


def _batched(numbers: range, size: int) -> Iterator[list[int]]:
    iterator = iter(numbers)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
