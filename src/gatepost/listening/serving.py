"""Serving an installation with uvicorn: listen first, then open the store, then say so, then drain at the end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import uvicorn

from gatepost.app import app_for
from gatepost.assembly.installation import Installation
from gatepost.configuration.settings import Settings, SettingsError
from gatepost.listening.open_files import connections_that_fit
from gatepost.listening.slow_readers import WatchedConnection
from gatepost.observability.logs import configure_logging

if TYPE_CHECKING:
    from fastapi import FastAPI

CLEAN_UP_SECONDS = 1
"""How long tools that are cancelled because the server stops have for cleaning up."""
_BACKLOG = 2048
_KEEP_ALIVE_SECONDS = 75
"""Longer than the idle time-out of common proxies (60 s): we must not close under a request that is on its way."""

_MOST_CONNECTIONS = 10_000
"""Beyond these uvicorn answers 503. Thousands of open streams are honest; memory for any number there is not."""


def serve(settings: Settings, install: Callable[[Settings], Installation], announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; after SIGTERM it returns, after SIGINT there is a KeyboardInterrupt.

    Args:
        settings: host and port to listen on; port 0 means any free one.
        install: makes the installation once the real port is known.
        announce: gets the start-up banner when everything is ready.

    Raises:
        SettingsError: the address cannot be listened on, or `install` refused.
        StoreError: the store cannot be opened.
    """
    configure_logging(settings.server.log_level)
    with _listen(settings.server.host, settings.server.port) as listener:
        port: int = listener.getsockname()[1]
        bound = replace(settings, server=settings.server.model_copy(update={"port": port}))
        installation = install(bound)
        app = app_for(installation, announce=announce)
        config = _configuration(app, settings)
        _set_aside_what_stays()
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(_serve(installation, _DrainingServer(config, installation), listener))


def _set_aside_what_stays() -> None:
    """Have later collections of garbage pass over what was built until now, most of which stays for good.

    Looking through all of it takes tens of milliseconds, several times a minute under load, in which nobody is answered
    (record 0027). It is not looked for garbage before, which would take as long at every start: the little that is in
    it stays, too.
    """
    gc.freeze()


class _DrainingServer(uvicorn.Server):
    """A server that ends what would otherwise last until its clients leave, before it waits for them."""

    def __init__(self, config: uvicorn.Config, installation: Installation) -> None:
        super().__init__(config)
        self._installation = installation
        self._seconds = installation.settings.server.shutdown_seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then shut down."""
        await self._installation.drain()
        stopping = asyncio.get_running_loop().call_later(self._seconds, self._cancel_all)
        try:
            await super().shutdown(sockets)
        finally:
            stopping.cancel()

    def _cancel_all(self) -> None:
        for cancel_scope in tuple(self._installation.open_scopes):
            cancel_scope.cancel(CLEAN_UP_SECONDS)


async def _serve(installation: Installation, server: uvicorn.Server, listener: socket.socket) -> None:
    # Opened here so that a store that cannot be opened is one sentence, and not a traceback out of the ASGI lifespan,
    # which finds it open.
    await installation.open()
    try:
        with _ends_well(server):
            await server.serve(sockets=[listener])
    finally:
        await installation.close()


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


def _configuration(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=WatchedConnection,
        ws="none",
        log_config=None,
        # Paths and queries of the pages carry one-time links and authorization requests.
        access_log=False,
        server_header=False,
        # The public URL is a setting; forwarded headers are believed from nobody.
        proxy_headers=False,
        lifespan="on",
        limit_concurrency=connections_that_fit(_MOST_CONNECTIONS),
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        # Time for tools to clean up and to be ended, before whatever is left is cancelled once and for all.
        timeout_graceful_shutdown=settings.server.shutdown_seconds + 2 * CLEAN_UP_SECONDS,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise SettingsError(
            f"MCP_HOST={host} MCP_PORT={port} cannot be listened on ({error.strerror or error}). Another server may be "
            "running there: set MCP_PORT, or use --port."
        ) from None
