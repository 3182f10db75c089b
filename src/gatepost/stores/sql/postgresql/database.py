"""`Database` over PostgreSQL: a pool of connections, serializable transactions, retries.

A write is a transaction of its own, SERIALIZABLE, repeated while other transactions stand in its way. A read that is
one statement is sent without BEGIN and COMMIT; which operations are more than that is learnt from their first run.

What is known and what is not: a transaction whose connection dies before COMMIT is sent has not happened (`StoreBusy`,
which is waited out and repeated); after that nobody knows (`StoreUnavailable`, which is never repeated here). Each
operation is written so that its caller may repeat it: docs/decisions/0041-a-busy-store-is-waited-out.md.

An attempt that has not come to its COMMIT is given up after a second, whatever it waits for. An operation that took
longer is allowed more the next time: it is slow, and the database is not mute. None is allowed more than its caller
waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gatepost.stores.contract.busy import seconds_left
from gatepost.stores.contract.errors import StoreMisconfigured, StoreOverloaded, StoreUnavailable
from gatepost.stores.sql.database import ELSEWHERE, Elsewhere, Operation, StoreCall, T
from gatepost.stores.sql.postgresql.connecting import Connector, description_of
from gatepost.stores.sql.postgresql.connections import Connections
from gatepost.stores.sql.postgresql.durability import chooses_commit, keeping, warn_of_loss
from gatepost.stores.sql.postgresql.errors import (
    broken_constraint,
    explained,
    explained_at_open,
    has_lost_statement,
    is_undone,
    is_worth_another_attempt,
    no_answer,
    no_turn,
    stood_in_the_way,
)
from gatepost.stores.sql.postgresql.transaction import OneStatement, PostgresqlTransaction, SecondStatement
from gatepost.stores.sql.postgresql.turns import NoTurn, Turns
from gatepost.stores.sql.schema.migrations import migrate

if TYPE_CHECKING:
    from asyncpg import Connection

LONGEST_QUEUE: Final = 8192
"""Operations that may be under way or wait. More would mean that the database has stopped answering."""
MOST_CONNECTIONS: Final = 10
LONGEST_ATTEMPT: Final = 1.0
"""Seconds after which an operation that has not come to its COMMIT is given up, and after which one without a
connection is; its caller is asked then whether it still waits."""
LONGEST_STATEMENT: Final = 16.0
"""Seconds for an operation that is known to take longer than an attempt; the database ends each of its statements a
little sooner, so that the connection stays good."""
_COMMIT_SECONDS: Final = 15.0
"""For COMMIT, and a statement that commits by itself: nobody knows what came of one that was given up."""
_MIGRATION_SECONDS: Final = 3600.0
_CLOSE_SECONDS: Final = 5.0
_FRESH_SECONDS: Final = 2.0
"""After its last answer, a connection may be dead without anybody having noticed."""
_ASKS: Final = "SELECT 1"
"""What a connection is asked that was silent for so long."""
_PAUSE: Final = 0.005
"""Seconds between two attempts, times how many there were."""
# SET LOCAL rather than parameters of the connection, which PgBouncer in transaction mode does not pass on. All of it is
# one message.
_LIMITS: Final = (
    "SET LOCAL statement_timeout = 15000; SET LOCAL lock_timeout = 700; "
    "SET LOCAL idle_in_transaction_session_timeout = 15000"
)
# Without READ WRITE: a database whose default is read-only, because its disk is nearly full or it is being moved, is.
_BEGIN: Final = f"BEGIN ISOLATION LEVEL SERIALIZABLE; {_LIMITS}"
_BEGIN_READ: Final = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_LIMITS}"
_BEGIN_MIGRATION: Final = (
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; "
    "SET LOCAL idle_in_transaction_session_timeout = 0"
)
MIGRATION_LOCK: Final = (
    0x6761_7465_706F_7374  # "gatepost"; one number for all databases, since locks are a database's own
)
TYPE_NAMES: Final = {" TEXT": ' TEXT COLLATE "C"'}
"""Texts are compared byte by byte, as in SQLite: the order of pages and the range of a prefix depend on it."""


class PostgresqlDatabase:
    """One database, or the same one on several hosts.

    Args:
        url: as libpq takes it.
        busy_timeout: for how many seconds an operation is repeated that could not begin, where nobody says.
        connections: how many there are at most.
        password_file: a file that holds the password and nothing else; None where the URL says all.
    """

    is_lost_at_exit: Final = False

    def __init__(
        self,
        url: str,
        *,
        busy_timeout: float,
        connections: int = MOST_CONNECTIONS,
        password_file: Path | None = None,
    ) -> None:
        self._url, self._password_file, self._most = url, password_file, connections
        self.description = description_of(url)
        self.busy_timeout = busy_timeout
        self.chooses_commit = chooses_commit(url)
        """Whether the URL says itself what a commit waits for."""
        self.origin = secrets.token_hex(8)
        """Tells what this process tells the others from what they tell it."""
        self._connections: Connections | None = None
        self._is_open = False
        """Whether anything new is taken; what was taken before keeps the connections until it is done."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._under_way: set[asyncio.Task[Any]] = set()
        self._keeping = keeping(url)
        self._longer_reads: set[str] = set()
        """Reads that are more than one statement, by name."""
        self._turns = Turns(connections)
        self._slow: set[str] = set()
        """Operations that took longer than an attempt, by name."""
        self._retries = 0

    async def open(self) -> None:
        connector = Connector(self._url, password_file=self._password_file)
        connections = Connections(connector, most=self._most, name=self.description)
        try:
            connection = await connector.connect()
            try:
                async with asyncio.timeout(_MIGRATION_SECONDS):
                    await self._migrate(connection)
                    await warn_of_loss(connection, self._url, self.description)
            except BaseException:
                connection.terminate()
                raise
        except ImportError as error:
            raise StoreMisconfigured(
                'a store in PostgreSQL needs its driver: pip install "gatepost[postgres]"'
            ) from error
        except Exception as error:
            fault = explained_at_open(error, self.description)
            if fault is error:
                raise
            raise fault from error
        await connections.open(connection)
        self._loop = asyncio.get_running_loop()
        self._connections, self._is_open = connections, True

    async def close(self) -> None:
        if self._connections is None or not self._is_open:
            return
        self._is_open = False
        if self._under_way:
            await asyncio.wait(tuple(self._under_way), timeout=_CLOSE_SECONDS)
        connections, self._connections = self._connections, None
        await connections.close()

    def figures(self) -> Mapping[str, int]:
        """Return how it is with the connections: those `used` and `idle`, the `limit` of both, operations `under_way`.

        And how many `retries` there were since the start.
        """
        used, idle = (0, 0) if self._connections is None else self._connections.used_and_idle
        return {
            "used": used,
            "idle": idle,
            "limit": self._most,
            "under_way": len(self._under_way),
            "retries": self._retries,
        }

    @property
    def is_prepared(self) -> bool:
        """Whether statements are prepared once and kept, without which one alone is not safe behind a pooler."""
        return self._connections is not None and self._connections.are_prepared

    async def read(self, operation: Operation[T]) -> T:
        return await self._ask(self._repeated(operation, self._read))

    def look_up(self, operation: Operation[T]) -> T | Elsewhere:  # noqa: ARG002 - there is always an answer to wait for
        return ELSEWHERE

    async def write(self, operation: Operation[T]) -> T:
        return await self._ask(self._repeated(operation, self._write))

    async def write_alone(self, operation: Operation[T], *, is_repeatable: bool = False) -> T | None:
        """Run an operation whose one statement is a transaction by itself: one round trip, READ COMMITTED.

        So it has to be right beside whatever else happens, without help of the isolation, and waits for no lock unless
        `is_repeatable`: it may happen twice, so it is given up after a second, as `StoreBusy`.

        Return None where it was not run, because that is not possible now: `write` is.
        """
        if not self.is_prepared:
            return None
        return await self._ask(self._write_alone(operation, is_repeatable=is_repeatable))

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

    async def _repeated(
        self, operation: Operation[T], run: Callable[[_Attempt, Operation[T]], Coroutine[Any, Any, T]]
    ) -> T:
        """Run an operation, and again while other transactions stand in its way and the attempt is not over."""
        name = operation.name if isinstance(operation, StoreCall) else ""
        try:
            async with self._turns.turn(name, seconds=LONGEST_ATTEMPT):
                return await self._repeated_in_turn(name, operation, run)
        except NoTurn as error:
            raise no_turn(self.description) from error

    async def _repeated_in_turn(
        self, name: str, operation: Operation[T], run: Callable[[_Attempt, Operation[T]], Coroutine[Any, Any, T]]
    ) -> T:
        attempt = _Attempt(name, _at_most(LONGEST_STATEMENT) if name in self._slow else LONGEST_ATTEMPT)
        attempts = 0
        broken: tuple[str | None, ...] | None = None
        while True:
            try:
                result = await run(attempt, operation)
            except Exception as error:
                cause = error.__cause__ or error
                has_met_another = stood_in_the_way(cause)
                if not (has_met_another or is_worth_another_attempt(cause)) or attempt.is_over:
                    raise
                met_before, broken = broken, broken_constraint(cause)
                if broken is not None and broken == met_before:
                    raise  # whoever had the key has committed before this attempt began: it does not look for keys
                if has_met_another:
                    self._turns.met(name)
                if has_lost_statement(cause):
                    await self._lent.prepare_no_more()
            else:
                if attempt.is_short:
                    self._slow.discard(name)
                self._turns.passed(name)
                return result
            attempts += 1
            self._retries += 1
            await asyncio.sleep(min(attempts, 10) * _PAUSE)

    @property
    def _lent(self) -> Connections:
        if self._connections is None:
            raise StoreUnavailable("the store is closed")
        return self._connections

    async def _read(self, attempt: _Attempt, operation: Operation[T]) -> T:
        async with self._lent.lend(seconds=LONGEST_ATTEMPT) as connection, self._within(attempt):
            if self.is_prepared and attempt.name and attempt.name not in self._longer_reads:
                with contextlib.suppress(SecondStatement):
                    return await operation(OneStatement(connection))
                self._longer_reads.add(attempt.name)
            await connection.execute(_BEGIN_READ)
            result = await operation(PostgresqlTransaction(connection))
            await connection.execute("ROLLBACK")
            return result

    async def _write(self, attempt: _Attempt, operation: Operation[T]) -> T:
        async with self._lent.lend(seconds=LONGEST_ATTEMPT) as connection:
            async with self._within(attempt):
                await connection.execute(_BEGIN)
                transaction = PostgresqlTransaction(connection, origin=self.origin, keeping=self._keeping)
                result = await operation(transaction)
            try:
                await connection.execute(transaction.commit, timeout=_at_most(_COMMIT_SECONDS))
            except Exception as error:
                if is_worth_another_attempt(error):
                    raise  # it is known to be undone
                raise explained(error, self.description, has_begun_to_commit=True) from error
            return result

    async def _write_alone(self, operation: Operation[T], *, is_repeatable: bool) -> T | None:
        async with self._lent.lend(seconds=LONGEST_ATTEMPT) as connection:
            if time.monotonic() - connection.answered_at > _FRESH_SECONDS:
                async with self._within(_Attempt(_ASKS, LONGEST_ATTEMPT)):
                    await connection.execute(_ASKS)
                self._slow.discard(_ASKS)
            try:
                async with asyncio.timeout(LONGEST_ATTEMPT if is_repeatable else _at_most(_COMMIT_SECONDS)):
                    return await operation(OneStatement(connection, writes=True))
            except Exception as error:
                if has_lost_statement(error):
                    await self._lent.prepare_no_more()
                if is_worth_another_attempt(error):
                    return None
                is_known = is_repeatable or is_undone(error)
                fault = explained(error, self.description, has_begun_to_commit=not is_known)
                if fault is error:
                    raise
                raise fault from error

    @asynccontextmanager
    async def _within(self, attempt: _Attempt) -> AsyncIterator[None]:
        """Give an attempt up when its time is over. What it was at is not committed, so nothing has happened."""
        try:
            async with asyncio.timeout_at(attempt.end):
                yield
        except TimeoutError as error:
            if attempt.name not in self._slow:
                # Is it slow, or does the database not answer? It may take longer, over connections that are made anew.
                self._slow.add(attempt.name)
                await self._lent.expire()
            raise no_answer(self.description, attempt.seconds) from error

    async def _migrate(self, connection: Connection) -> None:
        """Bring the schema up to date. Processes that start at once wait for each other."""
        await connection.execute(_BEGIN_MIGRATION)
        await connection.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
        transaction = PostgresqlTransaction(connection)
        tables = await transaction.all(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
        )
        refuse_foreign_tables({row["table_name"] for row in tables}, self.description)
        await migrate(transaction, type_names=TYPE_NAMES)
        await connection.execute("COMMIT")


class _Attempt:
    """How long one attempt of an operation may last, and what it is called."""

    def __init__(self, name: str, seconds: float) -> None:
        self.name, self.seconds = name, seconds
        self._begin = asyncio.get_running_loop().time()
        self.end = self._begin + seconds

    @property
    def is_over(self) -> bool:
        return asyncio.get_running_loop().time() >= self.end

    @property
    def is_short(self) -> bool:
        """Whether it has not lasted as long yet as those may that are not slow."""
        return asyncio.get_running_loop().time() < self._begin + LONGEST_ATTEMPT


def _at_most(seconds: float) -> float:
    """Return for how many seconds something is waited for: no longer than the caller waits, but an attempt's time."""
    left = seconds_left()
    return seconds if left is None else min(max(left, LONGEST_ATTEMPT), seconds)


def refuse_foreign_tables(tables: set[str], description: str) -> None:
    """Leave tables alone that some other program has made, as far as they would be mixed up with ours."""
    if tables & {"clients", "users", "grants"} and "schema_version" not in tables:
        raise StoreMisconfigured(
            f"the database {description} has tables of another program: name another database or schema"
        )
