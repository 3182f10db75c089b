"""Spares: connections that were begun before anybody needs one, since a server takes seconds to start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import field
from typing import Any

from gatepost.fronts.backend import Backend, BackendUnavailable
from gatepost.fronts.callers import Caller
from gatepost.fronts.raw_json import ServerNotification
from gatepost.fronts.session import BackendSession
from gatepost.late_dataclass import dataclass

logger = logging.getLogger("gatepost.front")


@dataclass(slots=True, eq=False)
class _Nobody:
    """The `Audience` of a spare."""

    on_lost: Callable[[BackendSession], None]

    def hear(self, session: BackendSession, notification: ServerNotification, caller: Caller | None = None) -> None:
        del session, notification, caller

    def asked(self, session: BackendSession, method: str) -> Caller | None:
        del session, method
        return None

    def lost(self, session: BackendSession, why: str) -> None:
        logger.info("a spare server is over: %s", why)
        self.on_lost(session)


@dataclass(slots=True, eq=False)
class Spares:
    """Sessions with a server that have their connection and nothing else: nobody's, and never used."""

    backend: Backend
    most: int
    """How many there are to be."""
    is_serial: bool
    _ready: list[BackendSession] = field(default_factory=list[BackendSession], init=False)
    _working: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"], init=False)
    _filling: int = field(default=0, init=False)
    _is_closed: bool = field(default=False, init=False)

    def take(self) -> BackendSession | None:
        """Return one, and begin another in its place; None if there is none now."""
        taken = self._ready.pop(0) if self._ready else None
        self.fill()
        return taken

    def fill(self) -> None:
        """Begin as many as are missing, in the background."""
        while not self._is_closed and len(self._ready) + self._filling < self.most:
            self._filling += 1
            self._in_background(self._begin())

    async def close(self) -> None:
        """End those that there are, and begin no more."""
        self._is_closed = True
        for session in self._ready:
            self._in_background(session.close())
        self._ready.clear()
        while self._working:
            await asyncio.wait(self._working)

    async def _begin(self) -> None:
        session = BackendSession(audience=_Nobody(self._drop), is_serial=self.is_serial)
        try:
            session.linked(await self.backend.connect(session, None))
        except BackendUnavailable as error:
            # Whoever comes next tries it anew, and is told if it still cannot be.
            logger.warning("a spare server could not be started: %s", error)
            return
        finally:
            self._filling -= 1
        if self._is_closed or session.why_lost is not None:
            await session.close()
        else:
            self._ready.append(session)

    def _drop(self, session: BackendSession) -> None:
        if session in self._ready:
            # Another one would end likewise; it is begun when somebody comes.
            self._ready.remove(session)
            self._in_background(session.close())

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)
