"""The sessions with a server: begun, shared, found, ended when nobody uses them.

Of sessions that are too many, the one that was used longest ago makes room: of the user's own first, and of all only
one that has been idle for a while, so that nobody pushes others out.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Hashable, Mapping
from dataclasses import field
from typing import Any, Final

from gatepost.fronts.audience import Clients
from gatepost.fronts.backend import Backend, BackendUnavailable, SessionUser
from gatepost.fronts.callers import Caller
from gatepost.fronts.held_calls import Questions
from gatepost.fronts.list_cache import ListCache
from gatepost.fronts.session import BackendSession
from gatepost.fronts.sharing import Sharing
from gatepost.fronts.spares import Spares
from gatepost.fronts.subscriptions import ServerSubscriptions
from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import InternalError
from gatepost.protocol.messages import Request
from gatepost.server.changes.bus import ChangeKind

ROOM_AFTER_SECONDS: Final = 60.0
"""How long a session has to be idle before it makes room for another user's."""
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_MOST_DOUBLINGS: Final = 10
_MOST_PAUSES: Final = 1000

logger = logging.getLogger("gatepost.front")


class BackendBusy(InternalError):
    """There are as many sessions with the server as there may be, and all of them are in use."""


@dataclass(slots=True, eq=False, kw_only=True)
class PooledSession:
    """One session with a server, and who shares it."""

    session: BackendSession
    clients: Clients
    key: Hashable
    subscriptions: ServerSubscriptions
    used_at: float
    """By the event loop's clock."""
    log_level: str | None = None
    """The most that a client of the modern era wanted to hear; None while none wanted anything."""
    lists: ListCache | None = None
    """Keeps lists; None where a list is for whom the caller is to the server at the moment, which may change."""

    async def listed(self, method: str, params: Mapping[str, Any], caller: Caller) -> bytes:
        """Return a page of a list, from the server unless it has said that the last one still counts.

        Raises as `BackendSession.request`.
        """
        lists, clock = self.lists, asyncio.get_running_loop().time
        if lists is None:
            return await self.session.request(method, params, caller)
        found = lists.find(method, params, clock())
        if found is None:
            generation = lists.generation(method)
            found = await self.session.request(method, params, caller)
            lists.keep(method, params, found, generation=generation, now=clock())
        return found

    def forget_lists(self, kind: ChangeKind) -> None:
        """Ask for lists of a kind anew."""
        if self.lists is not None:
            self.lists.forget(kind)

    @property
    def is_busy(self) -> bool:
        """Whether something is under way in it."""
        return self.session.is_busy or len(self.subscriptions) > 0

    def note(self, request: Request, key: bytes) -> bool:
        """Note what one of several client sessions wants to hear of; False if the server need not know of it."""
        is_news = self.clients.note(request, key)
        is_end = request.method == "resources/unsubscribe"
        return is_news and not (is_end and self.subscriptions.watches(str(request.params.get("uri"))))


@dataclass(slots=True, eq=False)
class Pool:
    """All sessions with one server."""

    backend: Backend
    sharing: Sharing
    on_end: Callable[[PooledSession], None]
    """Called when a session is over, for whatever reason."""
    _pooled: dict[Hashable, PooledSession] = field(default_factory=dict[Hashable, PooledSession], init=False)
    _opening: dict[Hashable, asyncio.Future[PooledSession]] = field(
        default_factory=dict[Hashable, "asyncio.Future[PooledSession]"], init=False
    )
    _being_opened: dict[object, SessionUser | None] = field(
        default_factory=dict[object, SessionUser | None], init=False
    )
    _closing: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"], init=False)
    _pauses: dict[SessionUser | None, tuple[int, float]] = field(
        default_factory=dict[SessionUser | None, tuple[int, float]], init=False
    )
    """How often in a row the server did not start for a user, and when it may be tried again."""
    _spares: Spares = field(init=False)
    _sweep: asyncio.TimerHandle | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        most = self.sharing.spares if self.backend.is_same_for_all and self.sharing.share != "all" else 0
        self._spares = Spares(self.backend, most, self.sharing.is_serial)

    def prepare(self) -> None:
        """Begin the spares."""
        self._spares.fill()

    def use(self, pooled: PooledSession) -> None:
        """Have a session live on."""
        pooled.used_at = asyncio.get_running_loop().time()

    def find(self, key: Hashable) -> PooledSession | None:
        """Return a session that there is, and have it live on; None if there is none."""
        found = self._pooled.get(key)
        if found is not None:
            self.use(found)
        return found

    async def shared(
        self, key: Hashable, user: SessionUser | None, params: Mapping[str, Any], caller: Caller, *, is_everybodys: bool
    ) -> PooledSession:
        """Return a session that several use, begun by whoever comes first; raises as `open`."""
        found = self.find(key)
        if found is not None:
            return found
        opening = self._opening.get(key)
        if opening is None:
            # In a task of its own: others go on waiting when the first one leaves.
            work = self._open_shared(key, user, params, caller, is_everybodys=is_everybodys)
            opening = self._opening[key] = asyncio.ensure_future(work)
            opening.add_done_callback(lambda done: self._opened(key, done))
        return await asyncio.shield(opening)

    async def open(
        self,
        key: Hashable,
        user: SessionUser | None,
        params: Mapping[str, Any],
        caller: Caller,
        *,
        is_everybodys: bool = False,
    ) -> PooledSession:
        """Begin a session.

        Args:
            key: what it is found by.
            user: whose it is; None for everybody's and nobody's.
            params: of `initialize`.
            caller: hears what the server says before it has answered.
            is_everybodys: whether users share it who shall not hear of each other.

        Raises:
            BackendUnavailable: the server does not start, or did not a moment ago.
            BackendBusy: there is no room.
        """
        loop = asyncio.get_running_loop()
        wait = self._pauses.get(user, (0, 0.0))[1] - loop.time()
        if wait > 0:
            raise BackendUnavailable("The server behind did not start a moment ago.", retry_after=math.ceil(wait))
        self._make_room(user, loop.time())
        pooled = self._new(key, user, params, is_everybodys=is_everybodys)
        session = pooled.session
        being_opened = object()
        self._being_opened[being_opened] = user
        try:
            async with asyncio.timeout(self.sharing.start_seconds):
                if not session.is_linked:
                    session.linked(await self.backend.connect(session, user))
                await session.initialize(params, caller)
        except TimeoutError:
            self._failed(session, user)
            raise BackendUnavailable(f"It did not answer within {self.sharing.start_seconds:g} seconds.") from None
        except BackendUnavailable:
            self._failed(session, user)
            raise
        except BaseException:
            self._close_soon(session)
            raise
        finally:
            del self._being_opened[being_opened]
        self._pauses.pop(user, None)
        self._pooled[key] = pooled
        pooled.used_at = loop.time()
        self._sweep_later()
        return pooled

    def _new(
        self, key: Hashable, user: SessionUser | None, params: Mapping[str, Any], *, is_everybodys: bool
    ) -> PooledSession:
        """Build a session that has still to be initialized, around a spare if there is one."""
        capabilities = params.get("capabilities")
        clients = Clients(
            user=user,
            is_everybodys=is_everybodys,
            is_shared=self.sharing.share != "session",
            questions=Questions(capabilities if type(capabilities) is dict else {}),
            on_lost=lambda why: self._lost(pooled, why),  # which is there before anything can be lost
        )
        session = self._spares.take()
        if session is None:
            session = BackendSession(audience=clients, is_serial=self.sharing.is_serial)
        session.audience = clients
        pooled = PooledSession(
            session=session,
            clients=clients,
            key=key,
            subscriptions=ServerSubscriptions(session, clients.changes, clients.is_watched),
            used_at=asyncio.get_running_loop().time(),
        )
        if self.backend.is_same_for_all:
            pooled.lists = ListCache()
            clients.changes.listen(pooled.lists.on_change)
        return pooled

    def end(self, key: Hashable) -> None:
        """End a session: nobody will use it any more. What is under way has some time."""
        pooled = self._pooled.pop(key, None)
        if pooled is not None:
            self._over(pooled)

    async def drain(self) -> None:
        """End what would last until the clients leave: streams of changes."""
        for pooled in tuple(self._pooled.values()):
            await pooled.subscriptions.end_all()

    async def close(self) -> None:
        """End all sessions, and wait until their connections are closed."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        openings = tuple(self._opening.values())
        for opening in openings:
            opening.cancel()
        if openings:
            # What was being started has to be ended.
            await asyncio.wait(openings)
        for key in tuple(self._pooled):
            self.end(key)
        await self._spares.close()
        while self._closing:
            await asyncio.wait(self._closing)

    async def _open_shared(
        self, key: Hashable, user: SessionUser | None, params: Mapping[str, Any], caller: Caller, *, is_everybodys: bool
    ) -> PooledSession:
        pooled = await self.open(key, user, params, caller, is_everybodys=is_everybodys)
        await pooled.session.initialized()
        return pooled

    def _opened(self, key: Hashable, done: asyncio.Future[PooledSession]) -> None:
        if self._opening.get(key) is done:
            del self._opening[key]
        if not done.cancelled():
            done.exception()  # looked at here, for whoever asked may be gone

    def _make_room(self, user: SessionUser | None, now: float) -> None:
        mine = [pooled for pooled in self._pooled.values() if user is not None and pooled.clients.user == user]
        coming = list(self._being_opened.values())
        if user is not None and len(mine) + coming.count(user) >= self.sharing.most_per_user:
            self._end_oldest(mine, now, after=0.0)
        elif len(self._pooled) + len(coming) >= self.sharing.most_sessions:
            idle = [pooled for pooled in mine if not pooled.is_busy]
            others = list(self._pooled.values())
            self._end_oldest(idle or others, now, after=0.0 if idle else ROOM_AFTER_SECONDS)

    def _end_oldest(self, among: list[PooledSession], now: float, *, after: float) -> None:
        idle = [pooled for pooled in among if not pooled.is_busy and now - pooled.used_at >= after]
        if not idle:
            raise BackendBusy("As many sessions with the server behind are in use as there may be; try again later.")
        self.end(min(idle, key=lambda pooled: pooled.used_at).key)

    def _failed(self, session: BackendSession, user: SessionUser | None) -> None:
        """Close what did not start, and let none be tried for this user for a while."""
        failures = self._pauses.pop(user, (0, 0.0))[0] + 1
        pause = min(_FIRST_PAUSE * 2 ** min(failures - 1, _MOST_DOUBLINGS), _LONGEST_PAUSE)
        self._pauses[user] = failures, asyncio.get_running_loop().time() + pause
        while len(self._pauses) > _MOST_PAUSES:
            del self._pauses[next(iter(self._pauses))]
        self._close_soon(session)

    def _lost(self, pooled: PooledSession, why: str) -> None:
        """Forget a session that the server ended; those who come to it are told that it is over."""
        if self._pooled.get(pooled.key) is pooled:
            del self._pooled[pooled.key]
        logger.warning("a session with the server behind is over: %s", why)
        self._over(pooled)

    def _over(self, pooled: PooledSession) -> None:
        self.on_end(pooled)
        self._in_background(pooled.subscriptions.end_all())
        self._close_soon(pooled.session)

    def _close_soon(self, session: BackendSession) -> None:
        self._in_background(session.finish(self.sharing.finish_seconds))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        closing = asyncio.get_running_loop().create_task(work)
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _sweep_later(self) -> None:
        if self._sweep is None and self._pooled:
            # Often enough that a session lives for a tenth longer than it may at most.
            pause = max(self.sharing.idle_seconds / 10, 0.01)
            self._sweep = asyncio.get_running_loop().call_later(pause, self._end_idle)

    def _end_idle(self) -> None:
        self._sweep = None
        now = asyncio.get_running_loop().time()
        for pooled in tuple(self._pooled.values()):
            if pooled.is_busy:
                pooled.used_at = now
            elif now - pooled.used_at >= self.sharing.idle_seconds:
                self.end(pooled.key)
        self._sweep_later()
