"""Many idle `subscriptions/listen` streams (modern era): what each costs in memory, how fast a change reaches all."""

from __future__ import annotations

import asyncio
import itertools
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.machine import resident_bytes
from benchmarks.messages import Caller, Era, Request, WrongAnswer
from benchmarks.peers import Peer, Prepared
from benchmarks.processes import ServerFailed, ServerProcess

STREAMS: Final = 5000
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
        for numbers in _batched(range(1, count + 1), _AT_ONCE):
            opening = (_open(prepared, callers[n % len(callers)].listen(n)) for n in numbers)
            listeners += await asyncio.gather(*opening)
        opened = time.perf_counter() - began
        resident = resident_bytes(process.pid)
        heard = [asyncio.create_task(_hear(reader, _CHANGED)) for reader, _ in listeners]
        began = time.perf_counter()
        trigger = asyncio.to_thread(_trigger, prepared, callers[0].trigger("announce", 1))
        async with asyncio.timeout(_BROADCAST_SECONDS):
            await asyncio.gather(trigger, *heard)
        return Streams(count, (resident - before) / count, opened, time.perf_counter() - began)
    finally:
        for _, writer in listeners:
            writer.close()
        for _, writer in listeners:
            with suppress(OSError):
                await writer.wait_closed()


async def _open(prepared: Prepared, request: Request) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open one stream and wait for its acknowledgement.

    Raises:
        WrongAnswer: the server does not answer with a stream.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", prepared.port)
    headers = {**request.headers, "Host": f"127.0.0.1:{prepared.port}", "Content-Length": str(len(request.body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"POST {prepared.peer.path} HTTP/1.1\r\n{head}\r\n".encode() + request.body)
    async with asyncio.timeout(_ANSWER_SECONDS):
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not answer.startswith(b"http/1.1 200") or b"text/event-stream" not in answer:
            raise WrongAnswer(f"subscriptions/listen was refused ({answer.splitlines()[0].decode()})")
        await _hear(reader, _ACKNOWLEDGED)
    return reader, writer


async def _hear(reader: asyncio.StreamReader, method: bytes) -> None:
    """Read until a notification of this method arrives."""
    while True:
        line = await reader.readline()
        if not line:
            raise EOFError(f"a stream ended before {method.decode()}")
        if line.startswith(b"data:") and method in line:
            return


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
