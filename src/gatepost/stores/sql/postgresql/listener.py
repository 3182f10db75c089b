"""`Wakeups` over LISTEN: one connection of its own beside the pool, which waits for what others notify of.

Never in a transaction: a LISTEN that is rolled back, and one that a pooler in transaction mode has given to another
connection, is deaf without an error. So whether it hears is not asked but shown: at the start and every now and then a
message goes out as those of the others do, over the pool, and has to come in here. A connection that is deaf or dead is
given up for another one, and meanwhile everybody looks by themselves.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.wakeups import Wakeup
from gatepost.stores.sql.database import Database, Transaction
from gatepost.stores.sql.postgresql.connecting import Connector
from gatepost.stores.sql.postgresql.errors import state_of
from gatepost.stores.sql.postgresql.notifications import CHANNEL, NOTIFY_ONE, PROOF, read

if TYPE_CHECKING:
    from asyncpg import Connection

PROOF_SECONDS: Final = 20.0
"""Between two messages to oneself."""
ANSWER_SECONDS: Final = 5.0
"""For connecting, and for a message to come in. So a connection that was cut without a word is noticed in 25."""
_APPLICATION_NAME: Final = "gatepost (listens)"
"""By which administrators of the database find it (`pg_stat_activity`)."""
_FIRST_PAUSE: Final = 0.5
"""Seconds until another connection is tried; twice as long each time."""
_LONGEST_PAUSE: Final = 30.0

_log = logging.getLogger(__name__)

_Hears = tuple[Callable[[Wakeup], None], Callable[[], None]]


class Deaf(Exception):
    """A message to oneself has not come in."""


class PostgresqlWakeups:
    """Wake-ups of a database.

    Args:
        database: what is said goes over it.
        url: where to listen, as libpq takes it.
        origin: names this process in what it tells others.
        password_file: as of `Connector`.
        proof_seconds: between two messages to oneself.
        answer_seconds: for how long an answer is waited for.
        pause: waits before another connection is tried.
    """

    def __init__(
        self,
        database: Database,
        url: str,
        *,
        origin: str,
        password_file: Path | None = None,
        proof_seconds: float = PROOF_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._database, self._url, self._origin, self._password_file = database, url, origin, password_file
        self._proof_seconds, self._answer_seconds, self._pause = proof_seconds, answer_seconds, pause
        self._hears: tuple[_Hears, ...] = ()
        self._task: asyncio.Task[None] | None = None
        self._proof, self._is_proved = "", asyncio.Event()
        self._said = ""
        """Why nothing is heard, as the log says it already."""
        self.are_heard = False

    @asynccontextmanager
    async def listening(self, on_wakeup: Callable[[Wakeup], None], on_gap: Callable[[], None]) -> AsyncIterator[None]:
        hears = on_wakeup, on_gap
        self._hears = (*self._hears, hears)
        if self._task is None:
            self._task = asyncio.create_task(self._listen_on(), name="gatepost-wakeups")
        try:
            yield
        finally:
            self._hears = tuple(other for other in self._hears if other is not hears)
            if not self._hears and (task := self._task) is not None:
                self._task, self.are_heard = None, False
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _listen_on(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._listen()
            except Exception as error:  # noqa: BLE001 - whatever it is, others are not heard, and are asked instead
                if self.are_heard:
                    pause = _FIRST_PAUSE
                self._lost(error)
            # Not all at the same moment, when a database comes back on which many wait.
            await self._pause(pause * (0.5 + secrets.randbelow(1000) / 2000))
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _listen(self) -> None:
        """Listen until the connection is lost, which is raised."""
        connection = await Connector(self._url, password_file=self._password_file).connect(
            command_timeout=self._answer_seconds,
            statement_cache_size=0,  # nothing is prepared, which a pooler would have to keep
            server_settings={"application_name": _APPLICATION_NAME},
        )
        is_lost = asyncio.Event()
        connection.add_termination_listener(lambda _: is_lost.set())
        try:
            channel: str = await connection.fetchval(CHANNEL)
            await connection.add_listener(channel, self._take)  # LISTEN; not in a transaction, so it holds at once
            await self._prove()
            self._found()
            while not await _comes(is_lost, self._proof_seconds):
                try:
                    await self._prove()
                except StoreUnavailable:
                    # The store cannot say it, which is no fault of the connection here, if that answers.
                    await connection.execute("SELECT 1")
            raise ConnectionResetError
        finally:
            connection.terminate()

    async def _prove(self) -> None:
        """Have a message to oneself come in.

        Raises:
            Deaf: it was sent, and does not come.
            StoreUnavailable: it could not be sent.
        """
        self._proof = secrets.token_hex(8)
        self._is_proved.clear()
        payload = f"{self._origin} {PROOF} - {self._proof}"

        async def say(transaction: Transaction) -> None:
            await transaction.all(NOTIFY_ONE, payload)

        await self._database.write(say)
        if not await _comes(self._is_proved, self._answer_seconds):
            raise Deaf

    def _take(self, connection: Connection[Any] | object, pid: int, channel: str, payload: object) -> None:
        del connection, pid, channel
        text = str(payload)
        if text == f"{self._origin} {PROOF} - {self._proof}":
            self._is_proved.set()
        elif (wakeup := read(text, self._origin)) is not None:
            for on_wakeup, _ in self._hears:
                with _logged():
                    on_wakeup(wakeup)

    def _found(self) -> None:
        self.are_heard = True
        if self._said:
            _log.info("other processes are heard again")
            self._said = ""
        self._tell_of_gap()

    def _lost(self, error: Exception) -> None:
        self.are_heard, was_heard = False, self.are_heard
        if isinstance(error, Deaf):
            said = "LISTEN hears nothing there, as through PgBouncer in transaction mode (docs/postgresql.md)"
        else:
            said = f"the connection that listens is gone ({state_of(error) or type(error).__name__})"
        if said != self._said:
            _log.warning("other processes are not heard at once, and are asked every second instead: %s", said)
            self._said = said
        if was_heard:
            self._tell_of_gap()

    def _tell_of_gap(self) -> None:
        for _, on_gap in self._hears:
            with _logged():
                on_gap()


@contextmanager
def _logged() -> Iterator[None]:
    """Keep one who hears from keeping the others from it."""
    try:
        yield
    except Exception:  # noqa: BLE001 - whatever it is, the listener has to go on
        _log.exception("a wake-up could not be taken")


async def _comes(event: asyncio.Event, seconds: float) -> bool:
    """Wait for the event, for at most that long; say whether it came."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True
