"""The lifespan of an ASGI application that is served inside of ours (ASGI, "Lifespan Protocol" 2.0)."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import ASGIApp, Message

from gatepost.web.site.opening import CannotStart

logger = logging.getLogger("gatepost.web")


_PLACE = re.compile(r'^ *File "([^"]+)", line ([0-9]+)', re.MULTILINE)


class ApplicationNotStarted(CannotStart):
    """The application answered `lifespan.startup` with a failure."""


class AsgiLifespan:
    """Starts and stops one application.

    Args:
        app: the application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.state: dict[str, Any] = {}
        """What the application keeps for its requests; each gets a shallow copy (ASGI, "Lifespan State")."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the application's lifespan around the body. One that knows no lifespan is served without.

        Raises:
            ApplicationNotStarted: it could not start, in its own words.
        """
        loop = asyncio.get_running_loop()
        incoming: asyncio.Queue[Message] = asyncio.Queue()
        started: asyncio.Future[str | None] = loop.create_future()
        stopped: asyncio.Future[str | None] = loop.create_future()
        answers = {"lifespan.startup": started, "lifespan.shutdown": stopped}

        async def send(message: Message) -> None:
            phase, _, outcome = message["type"].rpartition(".")
            if (future := answers.get(phase)) is not None and not future.done():
                failure = message.get("message") or "it gave no reason"
                future.set_result(failure if outcome == "failed" else None)

        async def run() -> None:
            scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
            try:
                await self._app(scope, incoming.get, send)
            except Exception as error:  # noqa: BLE001 - ASGI: an application that raises here has no lifespan
                if started.done() and not stopped.done():
                    logger.warning("an application's lifespan ended: %s", type(error).__name__)
            finally:
                for future in (started, stopped):
                    if not future.done():
                        future.set_result(None)

        task = loop.create_task(run())
        try:
            incoming.put_nowait({"type": "lifespan.startup"})
            if (failure := await started) is not None:
                logger.debug("an application that is served could not start: %s", failure)
                raise ApplicationNotStarted(f"An application that is served could not start: {_in_one_line(failure)}")
            try:
                yield
            finally:
                incoming.put_nowait({"type": "lifespan.shutdown"})
                if (failure := await stopped) is not None:
                    logger.error("an application that is served could not stop: %s", failure)
        finally:
            task.cancel()
            await asyncio.wait([task])


def _in_one_line(failure: str) -> str:
    """Return the end of a failure's text, which of a traceback is what was raised, and where that was."""
    lines = [line.strip() for line in failure.splitlines() if line.strip()]
    places = _PLACE.findall(failure)
    where = f" ({places[-1][0]}, line {places[-1][1]})" if places else ""
    return f"{lines[-1]}{where}" if lines else "it gave no reason"
