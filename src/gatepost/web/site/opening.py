"""When an app opens what it serves: in its ASGI lifespan, or at the first request where a server runs none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from starlette.types import Message, Send

from gatepost.web.site.mounting import Mounted


class OpenAndClosed(Protocol):
    """What is open while the app is served."""

    @property
    def is_open(self) -> bool:
        """Whether requests can be served."""
        ...

    def running(self, mounted: Mounted | None) -> AbstractAsyncContextManager[None]:
        """Be open for as long as the context lasts; `mounted` says in which other app."""
        ...

    async def start(self, mounted: Mounted | None) -> None:
        """Open for as long as the event loop runs. Raises whatever keeps it from opening."""
        ...


class CannotStart(RuntimeError):
    """What is served cannot be opened. The text says why, in one sentence for whoever starts it."""


class AppLifespan:
    """The lifespan of an app.

    Args:
        life: what is opened and closed.
    """

    def __init__(self, life: OpenAndClosed) -> None:
        self.life = life
        self.mounted: Mounted | None = None
        """In which other app it runs."""
        self._why_not: str | None = None
        """Why the last start failed."""

    @asynccontextmanager
    async def __call__(self, _app: object) -> AsyncIterator[None]:
        """Be open for as long as the context lasts, as Starlette's `lifespan` is called."""
        self._why_not = None
        try:
            async with self.life.running(self.mounted):
                yield
        except CannotStart as error:
            self._why_not = str(error)
            raise

    def saying_why(self, send: Send) -> Send:
        """Put the sentence in the place of the traceback that the framework gives the server for its log."""

        async def said(message: Message) -> None:
            is_known = message["type"] == "lifespan.startup.failed" and self._why_not is not None
            await send({**message, "message": self._why_not} if is_known else message)

        return said
