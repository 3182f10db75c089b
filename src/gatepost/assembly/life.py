"""The life of an app inside of a server: from the ASGI lifespan, or from the first request where there is none.

There is none under a server that knows no lifespan, with `--lifespan off`, and for an app that is mounted in another
one: Starlette and FastAPI run the lifespan of the outermost app only (record 0040).
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import KW_ONLY, field

from gatepost.assembly.installation import Installation
from gatepost.assembly.signals import stopping_at_signals
from gatepost.late_dataclass import dataclass
from gatepost.web.site.errors import RETRY_AFTER
from gatepost.web.site.mounting import Mounted

_log = logging.getLogger("gatepost.web")


@dataclass(slots=True)
class Life:
    """Opens an installation and closes it again."""

    installation: Installation
    announce: Callable[[str], None]
    """Gets the banner once everything is open."""
    _: KW_ONLY
    hears_signals: bool
    """Whether to end at a signal what would last until the clients leave."""
    _started: asyncio.Future[Exception | None] | None = field(default=None, init=False)
    """What the last start without a lifespan came to."""

    @property
    def is_open(self) -> bool:
        """Whether requests can be served."""
        return self.installation.is_open

    @asynccontextmanager
    async def running(self, mounted: Mounted | None = None, *, waits: bool = True) -> AsyncIterator[None]:
        """Be open for as long as the context lasts: the lifespan of the app, which may be `mounted` in another one.

        `waits` for a store that cannot be reached yet.

        Raises:
            SettingsError: it is mounted at another path than MCP_PUBLIC_URL says.
        """
        if mounted is not None:
            self.installation.place(mounted.base)
            for sentence in mounted.lacks():
                _log.warning("%s", sentence)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.installation.running(waits=waits))
            if self.hears_signals:
                stack.enter_context(stopping_at_signals(self.installation.stop_soon))
            self.announce(self.installation.banner())
            yield

    async def start(self, mounted: Mounted | None = None) -> None:
        """Open for as long as the event loop runs; requests that come meanwhile wait for the one start.

        Raises:
            Exception: what kept it from opening, for some seconds; then the next request has it tried again.
        """
        if self._started is None or (self._started.done() and self._started.result() is None):
            loop = asyncio.get_running_loop()
            self._started = loop.create_future()
            # In a context of its own: what goes on in the background is no part of the request that begins it.
            running, context = self._run(self._started, mounted), contextvars.Context()
            loop.create_task(running, name="gatepost-life", context=context).add_done_callback(_look_at)
        failure = await asyncio.shield(self._started)
        if failure is not None:
            raise failure

    async def _run(self, started: asyncio.Future[Exception | None], mounted: Mounted | None) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine under asyncio runs in a task; tells mypy
        try:
            # Requests wait for it, and are told to come again.
            async with self.running(mounted, waits=False):
                _log.info("started at the first request: the server runs no ASGI lifespan for this app")
                started.set_result(None)
                atexit.register(_finish, task)
                await asyncio.Event().wait()  # until the loop ends, which cancels its tasks
        except Exception as error:
            if started.done():
                raise
            started.set_result(error)
            asyncio.get_running_loop().call_later(RETRY_AFTER, self._forget, started)
        finally:
            atexit.unregister(_finish)

    def _forget(self, started: asyncio.Future[Exception | None]) -> None:
        if self._started is started:
            self._started = None


def _look_at(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("the app could not close in good order: %s", type(error).__name__)


def _finish(task: asyncio.Task[None]) -> None:
    """Close what a server left open that ends its event loop without cancelling what runs there."""
    loop = task.get_loop()
    if not (loop.is_closed() or loop.is_running()):
        task.cancel()
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
