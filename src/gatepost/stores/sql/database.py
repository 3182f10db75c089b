"""What the SQL operations are written against: a transaction, and a database that runs an operation in one.

An operation is a coroutine function over a `Transaction`. It awaits nothing else, so a driver that never suspends
(SQLite) can run the whole of it in one go, and one that does (PostgreSQL) can await it as it is. SQL text uses numbered
parameters (`$1`, `$2`), `ON CONFLICT` and no dialect.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from enum import Enum, auto
from functools import partial, wraps
from typing import Any, Concatenate, Final, Generic, ParamSpec, Protocol, TypeAlias, TypeVar

from gatepost.stores.contract.busy import wait_out
from gatepost.stores.contract.wakeups import Wakeup

T = TypeVar("T")
P = ParamSpec("P")

Value: TypeAlias = str | int | bytes | None
"""What a parameter may be; the schema uses TEXT, BIGINT and BYTEA only."""


class Row(Protocol):
    """One row of an answer; columns by name, or several or all of them by their places, which is faster for many."""

    def __getitem__(self, column: str | slice, /) -> Any:
        """Return the value of a column, or a tuple of those of several."""

    def __iter__(self) -> Iterator[Any]:
        """Return the values of all columns, in the order of the statement."""


class Transaction(Protocol):
    """An open transaction, serializable: what it read is still true when it commits."""

    async def one(self, sql: str, *parameters: Value) -> Row | None:
        """Return the first row of a query, or None."""

    async def all(self, sql: str, *parameters: Value) -> Sequence[Row]:
        """Return all rows of a query."""

    async def run(self, sql: str, *parameters: Value) -> int:
        """Execute a statement and return how many rows it changed."""

    async def notify(self, wakeup: Wakeup) -> None:
        """Wake the other processes once the transaction has committed; nothing where the database cannot do that."""


Operation: TypeAlias = Callable[[Transaction], Coroutine[Any, Any, T]]
"""One atomic operation. It may be called again when the database asks for a retry, so it has no effect but its SQL."""


class Elsewhere(Enum):
    """What `Database.look_up` answers where `Database.read` has to be asked."""

    ELSEWHERE = auto()


ELSEWHERE: Final = Elsewhere.ELSEWHERE


class Database(Protocol):
    """Runs operations. `read` and `write` raise `StoreUnavailable` when the database cannot answer.

    Where it is `StoreBusy`, they are called again for as long as the caller waits: they give up after a second at most.
    """

    @property
    def description(self) -> str:
        """Where it lies, for people; without credentials."""

    @property
    def is_lost_at_exit(self) -> bool:
        """Whether all of it lives in this process."""

    @property
    def busy_timeout(self) -> float:
        """For how many seconds an operation is repeated whose caller has not said how long it waits."""

    async def open(self) -> None:
        """Connect and migrate. Raises `StoreMisconfigured` or `StoreUnavailable`, and nothing is left open then."""

    async def close(self) -> None:
        """Finish what is queued and disconnect; closing twice is fine."""

    async def read(self, operation: Operation[T]) -> T:
        """Run an operation that writes nothing, on one snapshot that holds every write acknowledged before the call."""

    def look_up(self, operation: Operation[T]) -> T | Elsewhere:
        """Run an operation that finds a few rows by key, here and now; otherwise as `read`.

        It is one statement, or several that need no common snapshot.

        `ELSEWHERE` where its caller would have to wait for it, or nothing can be read here.
        """

    async def write(self, operation: Operation[T]) -> T:
        """Run an operation and return its result once it is durable: a restart would find it.

        If it raises, nothing of it is written. A caller that is cancelled loses the answer, and the operation still
        happens.
        """


class StoreCall(Generic[T]):
    """One call of a method of `Operations`, which is an `Operation`."""

    __slots__ = ("_args", "_concern", "_kwargs", "_method")

    def __init__(
        self, method: Callable[..., Coroutine[Any, Any, T]], concern: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._method = method
        self._concern = concern
        self._args = args
        self._kwargs = kwargs

    @property
    def name(self) -> str:
        """The method's name, the same for each of its calls."""
        return self._method.__qualname__

    def __call__(self, transaction: Transaction) -> Coroutine[Any, Any, T]:
        return self._method(self._concern, transaction, *self._args, **self._kwargs)


class Operations:
    """The operations of one concern. A method under `read` or `write` is one, and gets its transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database


ConcernT = TypeVar("ConcernT", bound=Operations)


def read(
    operation: Callable[Concatenate[ConcernT, Transaction, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[ConcernT, P], Coroutine[Any, Any, T]]:
    """Run the method by `Database.read`; its callers leave the transaction out."""

    @wraps(operation)
    async def method(self: ConcernT, /, *args: P.args, **kwargs: P.kwargs) -> T:
        database = self._database
        run = StoreCall(operation, self, args, kwargs)
        return await wait_out(partial(database.read, run), busy_timeout=database.busy_timeout)

    return method


def look_up(
    operation: Callable[Concatenate[ConcernT, Transaction, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[ConcernT, P], Coroutine[Any, Any, T]]:
    """Run the method by `Database.look_up`, whose terms it meets, or else by `Database.read`."""

    @wraps(operation)
    async def method(self: ConcernT, /, *args: P.args, **kwargs: P.kwargs) -> T:
        database = self._database
        run = StoreCall(operation, self, args, kwargs)
        found = database.look_up(run)
        if found is not ELSEWHERE:
            return found
        return await wait_out(partial(database.read, run), busy_timeout=database.busy_timeout)

    return method


def write(
    operation: Callable[Concatenate[ConcernT, Transaction, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[ConcernT, P], Coroutine[Any, Any, T]]:
    """Run the method by `Database.write`; its callers leave the transaction out."""

    @wraps(operation)
    async def method(self: ConcernT, /, *args: P.args, **kwargs: P.kwargs) -> T:
        database = self._database
        run = StoreCall(operation, self, args, kwargs)
        return await wait_out(partial(database.write, run), busy_timeout=database.busy_timeout)

    return method
