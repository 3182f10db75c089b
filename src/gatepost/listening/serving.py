"""Serving with uvicorn: listen first, then open what is served, then say so, then drain at the end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import uvicorn
from starlette.types import ASGIApp

from gatepost.listening.connection_shares import sharing
from gatepost.listening.listeners import (
    Address,
    Where,
    bound_address,
    given_listeners,
    own_listener,
    tell_service_manager,
)
from gatepost.listening.open_files import connections_that_fit

if TYPE_CHECKING:
    from gatepost.listening.worker import Worker

_log = logging.getLogger("gatepost.web")

_LAST_SECONDS = 2
"""What is cancelled has these for cleaning up and being ended; then whatever is left is cancelled once and for all."""
LEAVING_SECONDS = 0.5
"""For clients that use a connection just when the server stops. Of those that are idle longer few come back then."""
_TICK_SECONDS = 0.02
_INTERRUPTED = 130
"""The exit code of a program that Ctrl-C ended, by the shell's custom."""
_KEEP_ALIVE_SECONDS = 75
"""Longer than the idle time-out of common proxies (60 s): we must not close under a request that is on its way."""

MOST_CONNECTIONS = 13_000
"""Room for the 10,000 streams of changes that a server keeps, below the four fifths from where on silence makes room.

Beyond these the answer is 503. Thousands of open streams are honest; memory for any number there is not.
"""


class Service(Protocol):
    """What is served, and its life."""

    async def open(self) -> None:
        """Get ready. The app's lifespan opens it again, which changes nothing."""

    async def close(self) -> None:
        """End; closing twice is fine."""

    def observe_connections(self, count: Callable[[], int]) -> None:
        """Take what says how many connections are open."""

    def stop_soon(self) -> None:
        """End what would otherwise last until the clients leave, and what is under way when its time is over."""

    def stop_now(self) -> None:
        """End what is under way; it has a moment for cleaning up."""


def serve(
    build: Callable[[Address], tuple[ASGIApp, Service]],
    where: Where,
    *,
    shutdown_seconds: int,
    trusted_proxies: Sequence[str] = (),
    worker: Worker | None = None,
    worker_timeout: int = 0,
) -> None:
    """Serve until SIGINT or SIGTERM; after SIGTERM it returns, after SIGINT there is a KeyboardInterrupt.

    Args:
        build: given the address that is listened on, returns the app and what it serves.
        where: where to listen.
        shutdown_seconds: how long open requests may take at the end.
        trusted_proxies: address ranges whose connections are many clients'.
        worker: this process, if it is one of several, whose parent listens; then `where` says nothing.
        worker_timeout: after how many seconds the parent ends a worker whose event loop stands still; 0 for never.

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
    with contextlib.ExitStack() as stack:
        given = given_listeners(where, os.environ) if worker is None else worker.listeners
        listeners = [stack.enter_context(listener) for listener in given]
        built = None if worker is None else build(worker.address)
        if not listeners:
            # A port that is taken is told only of what could be served: mostly the other server is meant to be there.
            built = build(where.address) if where.port or where.uds else None
            listeners = [stack.enter_context(own_listener(where))]
        app, service = built or build(bound_address(listeners))
        config = configuration(app, shutdown_seconds, trusted_proxies, worker)
        _freeze_garbage_collector()
        begin = _nothing if worker is None else partial(worker.begin, shutdown_seconds, worker_timeout)
        server = DrainingServer(config, service, worker, begin)
        try:
            with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
                runner.run(_serve(service, server, listeners))
        finally:
            if server.force_exit and _threads_go_on():
                # Python waits for them at its end, and a thread cannot be ended.
                os._exit(_INTERRUPTED)


def _freeze_garbage_collector() -> None:
    """`gc.freeze()` at start: collections pass over what was built until now, most of which stays for good.

    A collection of the oldest generation takes tens of milliseconds, several times a minute under load, in which nobody
    is answered (record 0027). There is no `gc.collect()` before, which would take as long at every start: the little
    garbage that is there stays, too.
    """
    gc.freeze()


class DrainingServer(uvicorn.Server):
    """A server that ends what would otherwise last until its clients leave, before it waits for them."""

    def __init__(
        self,
        config: uvicorn.Config,
        service: Service,
        worker: Worker | None = None,
        begin: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(config)
        self._service, self._worker, self._begin = service, worker, begin or _nothing
        service.observe_connections(lambda: len(self.server_state.connections))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and say so."""
        if self._worker is None:
            await super().startup(sockets)
            tell_service_manager(os.environ)
            return
        await super().startup([])
        self.servers = [self._worker.accept_at(listener, self._protocol) for listener in sockets or ()]  # type: ignore[misc]  # what uvicorn asks of servers it has
        self._begin()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, end what would last, wait for what is under way."""
        # 1. Nobody new. What is queued at a listener of our own would be reset when it closes, so it is accepted.
        queued = [connection for listener in sockets or () for connection in _queued(listener)]
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for connection in queued:
            await loop.connect_accepted_socket(self._protocol, connection)
        # 2. Every answer from now on is the last of its connection, and says so.
        state = self.server_state
        state.default_headers = [*state.default_headers, (b"connection", b"close")]
        for held in [held for held in state.connections if not _is_idle(held)]:
            held.shutdown()
        # 3. A client whose request is on its way to a connection that is idle here gets an answer, and no reset.
        until = loop.time() + LEAVING_SECONDS
        while loop.time() < until and not self.force_exit and any(map(_is_idle, state.connections)):  # noqa: ASYNC110 - as uvicorn waits
            await asyncio.sleep(_TICK_SECONDS)
        for held in list(state.connections):
            held.shutdown()
        # 4. What would last ends, now that nobody can begin it again.
        self._service.stop_soon()
        await super().shutdown(sockets)
        # 5. A second Ctrl-C: uvicorn has waited for nothing, and would have the event loop cancel what is left.
        if self.force_exit:
            _log.warning("stopping at once: what is under way is cut off")
            self._service.stop_now()
            if state.tasks:
                await asyncio.wait(state.tasks, timeout=_LAST_SECONDS)
            await self.lifespan.shutdown()

    def _protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]  # as uvicorn calls it
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made


def _threads_go_on() -> bool:
    """Say whether there are threads, such as those of plain tools, that Python waits for at its end."""
    ours = {threading.main_thread(), threading.current_thread()}
    return any(not thread.daemon for thread in threading.enumerate() if thread not in ours)


def _queued(listener: socket.socket) -> Iterator[socket.socket]:
    """Accept what is queued, without waiting."""
    listener.settimeout(0)
    with contextlib.suppress(OSError):
        while True:
            yield listener.accept()[0]


def _is_idle(connection: Any) -> bool:
    """Say whether no request is under way at a connection of uvicorn's."""
    return connection.cycle is None or bool(connection.cycle.response_complete)


async def _serve(service: Service, server: uvicorn.Server, listeners: list[socket.socket]) -> None:
    # Opened here so that a store that cannot be opened is one sentence, and not a traceback out of the ASGI lifespan,
    # which finds it open.
    await service.open()
    try:
        with _ends_well(server):
            await server.serve(sockets=listeners)
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


def _nothing() -> None:
    """Do nothing."""


def configuration(
    app: ASGIApp, shutdown_seconds: int, trusted_proxies: Sequence[str] = (), worker: Worker | None = None
) -> uvicorn.Config:
    """Return what uvicorn is to do; the arguments are those of `serve`."""
    capacity, leave = connections_that_fit(MOST_CONNECTIONS), _nothing if worker is None else worker.count_out
    return uvicorn.Config(
        app,
        # Said, because uvicorn would take a plain function that returns a coroutine for an older interface.
        interface="asgi3",
        http=sharing(capacity, trusted_proxies, on_leave=leave),
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
