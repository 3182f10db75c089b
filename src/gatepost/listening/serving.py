"""Serving with uvicorn: listen first, then open what is served, then say so, then drain at the end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import uvicorn
from starlette.types import ASGIApp

from gatepost.configuration.settings import SettingsError
from gatepost.listening.connection_shares import sharing
from gatepost.listening.open_files import connections_that_fit

_LAST_SECONDS = 2
"""What is cancelled has these for cleaning up and being ended; then whatever is left is cancelled once and for all."""
_BACKLOG = 2048
_KEEP_ALIVE_SECONDS = 75
"""Longer than the idle time-out of common proxies (60 s): we must not close under a request that is on its way."""

_MOST_CONNECTIONS = 10_000
"""Beyond these the answer is 503. Thousands of open streams are honest; memory for any number there is not."""


class Service(Protocol):
    """What is served, and its life."""

    async def open(self) -> None:
        """Get ready. The app's lifespan opens it again, which changes nothing."""

    async def close(self) -> None:
        """End; closing twice is fine."""

    def stop_soon(self) -> None:
        """End what would otherwise last until the clients leave, and what is under way when its time is over."""


def serve(
    build: Callable[[int], tuple[ASGIApp, Service]],
    *,
    host: str,
    port: int,
    shutdown_seconds: int,
    trusted_proxies: Sequence[str] = (),
) -> None:
    """Serve until SIGINT or SIGTERM; after SIGTERM it returns, after SIGINT there is a KeyboardInterrupt.

    Args:
        build: given the port that is listened on, returns the app and what it serves.
        host: the address to listen on.
        port: the port to listen on; 0 means any free one.
        shutdown_seconds: how long open requests may take at the end.
        trusted_proxies: address ranges whose connections are many clients'.

    Raises:
        SettingsError: the address cannot be listened on, or `build` refused.
        StoreError: the store cannot be opened.
        RuntimeError: an event loop runs in this thread.
    """
    if asyncio._get_running_loop() is not None:  # noqa: SLF001 - documented; the public one raises instead
        raise RuntimeError(
            "run() brings an event loop of its own and cannot be called where one runs. Call it outside of async code, "
            "or serve create_app() with an ASGI server that takes your loop, such as uvicorn.Server(config).serve()."
        )
    # A port that is taken is told only of what could be served: mostly the other server is meant to be there.
    built = build(port) if port else None
    with _listen(host, port) as listener:
        app, service = built or build(listener.getsockname()[1])
        config = _configuration(app, shutdown_seconds, trusted_proxies)
        _freeze_garbage_collector()
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(_serve(service, _DrainingServer(config, service), listener))


def _freeze_garbage_collector() -> None:
    """`gc.freeze()` at start: collections pass over what was built until now, most of which stays for good.

    A collection of the oldest generation takes tens of milliseconds, several times a minute under load, in which nobody
    is answered (record 0027). There is no `gc.collect()` before, which would take as long at every start: the little
    garbage that is there stays, too.
    """
    gc.freeze()


class _DrainingServer(uvicorn.Server):
    """A server that ends what would otherwise last until its clients leave, before it waits for them."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then shut down."""
        self._service.stop_soon()
        await super().shutdown(sockets)


async def _serve(service: Service, server: uvicorn.Server, listener: socket.socket) -> None:
    # Opened here so that a store that cannot be opened is one sentence, and not a traceback out of the ASGI lifespan,
    # which finds it open.
    await service.open()
    try:
        with _ends_well(server):
            await server.serve(sockets=[listener])
    finally:
        await service.close()


@contextlib.contextmanager
def _ends_well(server: uvicorn.Server) -> Iterator[None]:
    """Let a server that has drained after SIGTERM return.

    uvicorn raises the signal again once it has drained, for whatever handler was there before; that of the system would
    end the process as if nobody had listened, and whoever started it would see an error.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # which hears no signals
        return

    def end(_number: int, _frame: object) -> None:
        server.should_exit = True

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _configuration(app: ASGIApp, shutdown_seconds: int, trusted_proxies: Sequence[str]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=sharing(connections_that_fit(_MOST_CONNECTIONS), trusted_proxies),
        ws="none",
        log_config=None,
        # Paths and queries of the pages carry one-time links and authorization requests.
        access_log=False,
        server_header=False,
        # The public URL is a setting; forwarded headers are believed from nobody.
        proxy_headers=False,
        lifespan="on",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=shutdown_seconds + _LAST_SECONDS,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        why = error.strerror or error
        raise SettingsError(
            f"MCP_HOST={host} MCP_PORT={port} cannot be listened on ({why}). {_advice(error)}"
        ) from None


def _advice(error: OSError) -> str:
    """Return which setting to change, and to what."""
    match error.errno:
        case errno.EADDRINUSE:
            return "Another server may be running there: set MCP_PORT to another port, or to 0 for any free one."
        case errno.EACCES | errno.EPERM:
            return "This user may not listen on that port: set MCP_PORT to one above 1023."
        case _:
            return "Set MCP_HOST to an address of this machine: 127.0.0.1, or 0.0.0.0 for all it has."
