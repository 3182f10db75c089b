"""The connections of one process to one database: lent for an operation, and given back as they were.

asyncpg's pool holds them. Beside it stand the bounds: nobody waits longer for a connection than an attempt lasts, and
nobody at all for one that does not answer any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.sql.postgresql.connecting import Connector, connection_class
from gatepost.stores.sql.postgresql.errors import explained, explained_connecting, leaves_bad_connections, no_connection

if TYPE_CHECKING:
    from asyncpg import Connection, Pool
    from asyncpg.pool import PoolConnectionProxy

_CLOSE_SECONDS: Final = 5.0
_CLEAN_SECONDS: Final = 5.0
"""For a connection to end what an operation left; after that the connection is ended."""
_IDLE_SECONDS: Final = 300.0
"""After which a connection that is not needed is closed."""

_log = logging.getLogger(__name__)


class Connections:
    """A pool of connections.

    Args:
        connector: makes them.
        most: how many there are at most.
        name: where the database lies, for people.
    """

    def __init__(self, connector: Connector, *, most: int, name: str) -> None:
        self._connector, self._most, self._name = connector, most, name
        self._pool: Pool | None = None
        self._lent = 0
        self._cleaning: set[asyncio.Task[None]] = set()

    async def open(self, first: Connection) -> None:
        """Begin to lend; `first` is one of them."""
        import asyncpg  # noqa: PLC0415 - the driver is an extra, and imported by those alone who use it

        self._connector.offer(first)
        self._pool = await asyncpg.create_pool(
            min_size=0,
            max_size=self._most,
            max_inactive_connection_lifetime=_IDLE_SECONDS,
            connect=self._connector.connect_for_pool,
            # Nothing is left behind on a connection; to have that undone would be a round trip for each operation.
            reset=_nothing,
            connection_class=connection_class(),
        )

    async def close(self) -> None:
        """End all of them, within seconds."""
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await pool.close()
            except TimeoutError:
                pool.terminate()
        await self._connector.forget()

    @property
    def used_and_idle(self) -> tuple[int, int]:
        """How many connections are lent, and how many wait to be."""
        return self._lent, 0 if self._pool is None else self._pool.get_idle_size()

    @property
    def are_prepared(self) -> bool:
        """Whether statements are prepared once for a connection and kept there."""
        return self._connector.prepares

    async def prepare_no_more(self) -> None:
        """Go on as is right behind any pooler: nothing is kept on a connection."""
        if not self._connector.prepares:
            return
        self._connector.prepares = False
        _log.warning(
            "the pooler in front of the store %s loses prepared statements, so each operation takes longer: "
            "PgBouncer keeps them from 1.21 on with max_prepared_statements (docs/postgresql.md)",
            self._name,
        )
        await self._connector.forget()
        await self.expire()

    async def expire(self) -> None:
        """Have no connection that there is now lent again."""
        if self._pool is not None:
            await self._pool.expire_connections()
        await self._connector.forget(only_made=True)

    @asynccontextmanager
    async def lend(self, *, seconds: float) -> AsyncIterator[PoolConnectionProxy]:
        """Lend a connection for one operation, after at most `seconds`, and say what a fault means.

        What was begun on it and not committed is undone; where the connection does not answer, without waiting for it.

        Raises:
            StoreConnectionsTaken: others have all of them.
            StoreBusy: there is no connection to the database; or what the operation met has undone it.
        """
        connection = await self._acquired(seconds)
        self._lent += 1
        answers = False
        try:
            yield connection
            answers = True
            connection.note_answer()
        except Exception as error:
            cause = error.__cause__ or error
            answers = not isinstance(cause, TimeoutError)
            if leaves_bad_connections(cause):
                await self.expire()
            fault = explained(error, self._name)
            if fault is error:
                raise
            raise fault from error
        finally:
            giving_back = self._give_back(connection, answers=answers)
            if answers:
                await giving_back
            else:
                task = asyncio.create_task(giving_back, name="gatepost-store-clean")
                self._cleaning.add(task)
                task.add_done_callback(self._cleaning.discard)

    async def _acquired(self, seconds: float) -> PoolConnectionProxy:
        pool = self._pool
        if pool is None:
            raise StoreUnavailable("the store is closed")
        try:
            async with asyncio.timeout(seconds):
                return await pool.acquire()
        except TimeoutError as error:
            if self._lent >= self._most:
                raise no_connection(self._name, self._most) from None
            raise explained(error, self._name) from error
        except Exception as error:
            fault = explained_connecting(error, self._name)
            if fault is error:
                raise
            raise fault from error

    async def _give_back(self, connection: PoolConnectionProxy, *, answers: bool) -> None:
        # What a dead connection says here must not take the place of what is known about the operation.
        with contextlib.suppress(Exception):
            try:
                if not answers or connection.is_in_transaction():
                    async with asyncio.timeout(_CLEAN_SECONDS):
                        await connection.execute("ROLLBACK")  # once the driver has had what was under way ended
            except Exception:
                connection.terminate()
                raise
        self._lent -= 1
        if (pool := self._pool) is not None:
            with contextlib.suppress(Exception):
                await pool.release(connection, timeout=_CLEAN_SECONDS)


async def _nothing(connection: Connection) -> None:
    """Leave a connection as it is."""
    del connection
