"""What work on a store as a whole is written against: one connection of its own, beside servers or without them.

It neither makes nor migrates anything unless it is told to, so that a store of any version can be looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from gatepost.late_dataclass import dataclass
from gatepost.stores.sql.database import Operation, T, Transaction


@dataclass(frozen=True, slots=True)
class Findings:
    """What a database says of its own state."""

    damage: Sequence[str]
    """What is damaged, for people and without data; empty when it found nothing."""
    not_asked: Sequence[str]
    """What could not be asked, and why."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What there is in a database, by name."""

    columns: Mapping[str, Mapping[str, type[str | int | bytes]]]
    """Of each table, in their order, with what their values are when they are not NULL."""
    indexes: frozenset[str]
    """Those that the schema names."""


class Maintenance(Protocol):
    """A connection. Everything raises `StoreUnavailable` when the database cannot answer.

    Use it as an async context manager, which connects and disconnects; entering raises `StoreMisconfigured` where there
    is no store, or something else in its place.
    """

    @property
    def description(self) -> str:
        """Where it lies, for people; without credentials."""

    @property
    def kind(self) -> str:
        """Which database it is, with its version: `SQLite 3.40.1`."""

    @property
    def type_names(self) -> Mapping[str, str]:
        """As `migrate` takes it."""

    async def __aenter__(self) -> Self:
        """Connect."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect; what is not committed has not happened."""

    async def read(self, operation: Operation[T]) -> T:
        """Run an operation that writes nothing on one snapshot, for as long as it takes. Servers go on beside it."""

    async def write(self, operation: Operation[T]) -> T:
        """Run an operation, and commit. No server starts or migrates meanwhile.

        If it raises, nothing of it is written. It is run once: after `StoreUnavailable` it may have happened.
        """

    async def keep_writers_out(self, transaction: Transaction, tables: Sequence[str]) -> None:
        """Let nobody else write to these tables until this transaction of `write` is over."""

    async def shape(self, transaction: Transaction) -> Shape:
        """Return what there is; nothing in a database in which no store was made yet."""

    async def size(self) -> int:
        """Return how much room it takes, bytes."""

    async def findings(self) -> Findings:
        """Have the database look for damage."""
