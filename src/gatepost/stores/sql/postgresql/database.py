"""`Database` over PostgreSQL: a pool of connections, serializable transactions, retries.

A write is a transaction of its own, SERIALIZABLE, repeated while other transactions stand in its way. A read that is
one statement is sent without BEGIN and COMMIT; which operations are more than that is learnt from their first run.

What is known and what is not: a transaction whose connection dies before COMMIT is sent has not happened (`StoreBusy`,
which is waited out and repeated); after that nobody knows (`StoreUnavailable`, which is never repeated here). Each
operation is written so that its caller may repeat it: docs/decisions/0041-a-busy-store-is-waited-out.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from gatepost.stores.contract.errors import StoreMisconfigured, StoreOverloaded, StoreUnavailable
from gatepost.stores.sql.database import Operation, StoreCall, T
from gatepost.stores.sql.postgresql.errors import (
    explained,
    explained_at_open,
    is_worth_another_attempt,
    leaves_bad_connections,
)
from gatepost.stores.sql.postgresql.transaction import OneStatement, PostgresqlTransaction, SecondStatement
from gatepost.stores.sql.schema.migrations import migrate

if TYPE_CHECKING:
    from asyncpg import Pool
    from asyncpg.pool import PoolConnectionProxy

LONGEST_QUEUE: Final = 8192
"""Operations that may be under way or wait. More would mean that the database has stopped answering."""
LONGEST_ATTEMPT: Final = 1.0
"""Seconds for which an operation is repeated before its caller is asked whether it still waits."""
_STATEMENT_SECONDS: Final = 20.0
"""For one statement, on our side; the database ends its own a little sooner, so that the connection stays good."""
_CONNECT_SECONDS: Final = 5.0
_CLOSE_SECONDS: Final = 5.0
_MOST_CONNECTIONS: Final = 10
_IDLE_SECONDS: Final = 300.0
"""After which a connection that is not needed is closed."""
_PAUSE: Final = 0.005
"""Seconds between two attempts, times how many there were."""
# SET LOCAL rather than parameters of the connection, which PgBouncer in transaction mode does not pass on. All of it is
# one message.
_LIMITS: Final = (
    "SET LOCAL statement_timeout = 15000; SET LOCAL lock_timeout = 2000; "
    "SET LOCAL idle_in_transaction_session_timeout = 15000"
)
_BEGIN: Final = f"BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE; {_LIMITS}"
_BEGIN_READ: Final = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_LIMITS}"
_MIGRATION_LOCK: Final = (
    0x6761_7465_706F_7374  # "gatepost"; one number for all databases, since locks are a database's own
)
TYPE_NAMES: Final = {" TEXT": ' TEXT COLLATE "C"'}
"""Texts are compared byte by byte, as in SQLite: the order of pages and the range of a prefix depend on it."""


class PostgresqlDatabase:
    """One database, or the same one on several hosts.

    Args:
        url: as libpq takes it.
        busy_timeout: for how many seconds an operation is repeated that could not begin, where nobody says.
    """

    is_lost_at_exit: Final = False

    def __init__(self, url: str, *, busy_timeout: float) -> None:
        self._url = url
        self.description = _description_of(url)
        self.busy_timeout = busy_timeout
        self.origin = secrets.token_hex(8)
        """Tells what this process tells the others from what they tell it."""
        self._pool: Pool | None = None
        self._is_open = False
        """Whether anything new is taken; what was taken before keeps the pool until it is done."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._under_way: set[asyncio.Task[Any]] = set()
        self._longer_reads: set[str] = set()
        """Reads that are more than one statement, by name."""

    async def open(self) -> None:
        try:
            import asyncpg  # noqa: PLC0415 - the driver is an extra, and imported by those alone who use it
        except ImportError as error:
            raise StoreMisconfigured(
                'a store in PostgreSQL needs its driver: pip install "gatepost[postgres]"'
            ) from error
        try:
            pool = await asyncpg.create_pool(
                self._url,
                min_size=1,
                max_size=_MOST_CONNECTIONS,
                max_inactive_connection_lifetime=_IDLE_SECONDS,
                timeout=_CONNECT_SECONDS,
                command_timeout=_STATEMENT_SECONDS,
            )
        except Exception as error:
            raise explained_at_open(error, self.description) from error
        self._loop = asyncio.get_running_loop()
        try:
            async with pool.acquire() as connection:
                await self._migrate(connection)
        except BaseException as error:
            pool.terminate()
            if isinstance(error, Exception):
                raise explained_at_open(error, self.description) from error
            raise
        self._pool, self._is_open = pool, True

    async def close(self) -> None:
        pool = self._pool
        if pool is None or not self._is_open:
            return
        self._is_open = False
        if self._under_way:
            await asyncio.wait(tuple(self._under_way), timeout=_CLOSE_SECONDS)
        self._pool = None
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await pool.close()
        except TimeoutError:
            pool.terminate()

    async def read(self, operation: Operation[T]) -> T:
        return await self._ask(self._read(operation))

    async def write(self, operation: Operation[T]) -> T:
        return await self._ask(self._write(operation))

    async def _ask(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work in a task of its own: it goes on when its caller leaves. The pool belongs to one event loop."""
        if not self._is_open or self._loop is None:
            work.close()
            raise StoreUnavailable("the store is closed")
        if len(self._under_way) >= LONGEST_QUEUE:
            work.close()
            raise StoreOverloaded("the store cannot answer: too many operations are waiting for the database")
        if asyncio.get_running_loop() is not self._loop:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._tracked(work), self._loop))
        return await self._tracked(work)

    async def _tracked(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.create_task(work, name="gatepost-store")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def _read(self, operation: Operation[T]) -> T:
        name = operation.name if isinstance(operation, StoreCall) else None
        async with self._connection() as connection:
            if name is not None and name not in self._longer_reads:
                with contextlib.suppress(SecondStatement):
                    return await operation(OneStatement(connection))
                self._longer_reads.add(name)
            await connection.execute(_BEGIN_READ)
            try:
                return await operation(PostgresqlTransaction(connection))
            finally:
                await _roll_back(connection)

    async def _write(self, operation: Operation[T]) -> T:
        end, attempts = time.monotonic() + LONGEST_ATTEMPT, 0
        while True:
            try:
                async with self._connection() as connection:
                    return await self._write_once(connection, operation)
            except Exception as error:
                cause = error.__cause__ or error
                if not is_worth_another_attempt(cause) or time.monotonic() >= end:
                    raise
            attempts += 1
            await asyncio.sleep(min(attempts, 10) * _PAUSE)

    async def _write_once(self, connection: PoolConnectionProxy, operation: Operation[T]) -> T:
        commits = False
        try:
            await connection.execute(_BEGIN)
            transaction = PostgresqlTransaction(connection, origin=self.origin)
            result = await operation(transaction)
            commits = True
            await connection.execute(transaction.commit)
        except Exception as error:
            await _roll_back(connection)
            if is_worth_another_attempt(error):
                raise  # it is known to be undone, whenever it happens
            raise explained(error, self.description, has_begun_to_commit=commits) from error
        return result

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[PoolConnectionProxy]:
        """Lend a connection, and say what a fault means."""
        pool = self._pool
        if pool is None:
            raise StoreUnavailable("the store is closed")
        try:
            connection = await pool.acquire(timeout=_CONNECT_SECONDS)
        except Exception as error:
            raise explained(error, self.description) from error
        try:
            yield connection
        except Exception as error:
            if leaves_bad_connections(error.__cause__ or error):
                await pool.expire_connections()
            fault = explained(error, self.description)
            if fault is error:
                raise
            raise fault from error
        finally:
            # What a dead connection says here must not take the place of what is known about the operation.
            with contextlib.suppress(Exception):
                await pool.release(connection)

    async def _migrate(self, connection: PoolConnectionProxy) -> None:
        """Bring the schema up to date. Processes that start at once wait for each other."""
        await connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
        try:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATION_LOCK)
            transaction = PostgresqlTransaction(connection)
            tables = await transaction.all(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
            )
            self._refuse_foreign({row["table_name"] for row in tables})
            await migrate(transaction, type_names=TYPE_NAMES)
            await connection.execute("COMMIT")
        except BaseException:
            await _roll_back(connection)
            raise

    def _refuse_foreign(self, tables: set[str]) -> None:
        """Leave tables alone that some other program has made, as far as they would be mixed up with ours."""
        if tables & {"clients", "users", "grants"} and "schema_version" not in tables:
            raise StoreMisconfigured(
                f"the database {self.description} has tables of another program: name another database or schema"
            )


async def _roll_back(connection: PoolConnectionProxy) -> None:
    """End the transaction, if there is one and a connection that can be told.

    Raises nothing: what went wrong before says whether the operation has happened. The pool lends no connection that is
    in a transaction still.
    """
    with contextlib.suppress(Exception):
        await connection.execute("ROLLBACK")


def _description_of(url: str) -> str:
    """Return where a database lies, without user, password and options."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
