"""Serving a target on standard input and output until the client closes them or a signal comes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from gatepost.protocol.header_values import TOKEN
from gatepost.server.changes.bus import listen_in_loop
from gatepost.server.dispatch import ServerTarget
from gatepost.server.handler_target import HandlerTarget
from gatepost.server.server import Server
from gatepost.server.target import Target
from gatepost.stdio.connection import Connection
from gatepost.stdio.streams import Inlet, LineSplitter, Writer, standard_streams

if TYPE_CHECKING:
    from gatepost.server.observed_target import ObservedTarget
    from gatepost.telemetry.seam import Telemetry

GRACE_SECONDS: Final = 1.0
"""How long what still runs may take at the end. Clients wait a little longer before they force an end."""


def run_stdio(target: Any, *, headers: Mapping[str, str] | None = None) -> None:
    """Serve a target on standard input and output until input ends, or SIGINT or SIGTERM comes.

    Meanwhile `print` and everything else that writes to standard output goes to standard error. There are no tokens
    here and no scopes: whoever starts the process may do everything.

    Args:
        target: a `Server`, or a JSON-RPC function `dict -> dict | None`, sync or async.
        headers: what tools find as `ctx.request.headers`.

    Raises:
        TypeError: the target is neither.
        ValueError: a header is none.
    """
    with standard_streams() as streams:
        serve_stdio(target, streams, headers=(headers or {}).items())


async def serve_standard_streams(target: Any, *, headers: Mapping[str, str] | None = None) -> None:
    """Do what `run_stdio` does, inside of an event loop that runs; raises what that raises."""
    encoded = encoded_headers((headers or {}).items())
    with standard_streams() as streams, _signals_kept():
        await _serve_until_signal(_target_of(target), streams, encoded)


def serve_stdio(
    target: Any,
    streams: tuple[int, int],
    *,
    headers: Iterable[tuple[str, str]],
    telemetry: Telemetry | None = None,
    has_content: bool = False,
) -> None:
    """Serve a target on these streams; for whoever has taken them already. Otherwise as `run_stdio`.

    Args:
        target: as `run_stdio` takes it.
        streams: descriptors to read from and to write to.
        headers: what tools find as `ctx.request.headers`.
        telemetry: measures and traces requests; None measures nothing.
        has_content: whether spans have the arguments and results of tools.
    """
    served = _target_of(target)
    asyncio.run(
        _serve_until_signal(
            served if telemetry is None else _observed(served, telemetry, has_content=has_content),
            streams,
            encoded_headers(headers),
        )
    )


def _observed(target: Target, telemetry: Telemetry, *, has_content: bool) -> ObservedTarget:
    from gatepost.server.observed_target import ObservedTarget, declared_at  # noqa: PLC0415 - only where somebody measures

    return ObservedTarget(
        target,
        telemetry,
        protocol="jsonrpc",
        transport="pipe",
        declared=declared_at(target),
        has_content=has_content,
    )


def encoded_headers(headers: Iterable[tuple[str, str]]) -> dict[bytes, bytes]:
    """Return headers as tools see them; of a name that stands twice, values are joined (RFC 9110 section 5.3).

    Raises ValueError: a name or a value is none.
    """
    encoded: dict[bytes, bytes] = {}
    for name, value in headers:
        stripped = value.strip()
        if TOKEN.fullmatch(name) is None or not (stripped.isascii() and stripped.isprintable()):
            raise ValueError("a header is a name and a value of printable ASCII characters, such as X-Team: notes")
        key, text = name.lower().encode("ascii"), stripped.encode("ascii")
        encoded[key] = encoded[key] + b", " + text if key in encoded else text
    return encoded


async def serve_streams(
    target: Target, streams: tuple[int, int], *, headers: Mapping[bytes, bytes], stop: asyncio.Event
) -> None:
    """Serve until input ends, the client reads no more, or `stop` is set."""
    reading, writing = streams
    writer = Writer(writing, stop.set)
    try:
        async with target.lifespan():
            connection = Connection(target, writer, headers=headers)
            with contextlib.ExitStack() as stack:
                inner = getattr(target, "target", target)  # of one that is measured
                if isinstance(inner, ServerTarget):
                    stack.callback(listen_in_loop(inner.server.changes, connection.on_change))
                taking = asyncio.ensure_future(_take_all(Inlet(reading), connection))
                stopping = asyncio.ensure_future(stop.wait())
                await asyncio.wait([taking, stopping], return_when=asyncio.FIRST_COMPLETED)
                # From here on everything ends by itself; who cannot wait for it sends a second signal.
                stop.set()
                taking.cancel()
                await asyncio.wait([taking, stopping])
                await target.drain()
                await connection.finish(GRACE_SECONDS)
            if not taking.cancelled():
                taking.result()
    finally:
        await writer.finish(GRACE_SECONDS)


async def _take_all(inlet: Inlet, connection: Connection) -> None:
    splitter = LineSplitter()
    while chunk := await inlet.read():
        for line in splitter.feed(chunk):
            await connection.take(line)
    for line in splitter.end():
        await connection.take(line)


async def _serve_until_signal(target: Target, streams: tuple[int, int], headers: Mapping[bytes, bytes]) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    async def hear_once() -> None:
        # However the end began, the next signal ends the process at once: a tool's thread may never come back.
        await stop.wait()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    # Windows has no such handlers; there a Ctrl-C interrupts, and clients close the input. Outside of the main thread
    # (ValueError, RuntimeError) signals are somebody else's.
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
    hearing = asyncio.ensure_future(hear_once())
    try:
        await serve_streams(target, streams, headers=headers, stop=stop)
    finally:
        hearing.cancel()


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Give signals back to whom they belonged to: the program goes on when the client has gone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        with contextlib.suppress(NotImplementedError):
            for number in before:
                asyncio.get_running_loop().remove_signal_handler(number)
        for number, handler in before.items():
            signal.signal(number, handler)


def _target_of(target: Any) -> Target:
    if isinstance(target, Server):
        return ServerTarget(target)
    return HandlerTarget(target, name=getattr(target, "__name__", "gatepost"))
