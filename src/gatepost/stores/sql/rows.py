"""Records as rows: a column for each field of a dataclass, by its name."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import fields
from functools import cache, lru_cache
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from gatepost.late_dataclass import dataclass
from gatepost.stores.sql.database import Row, Transaction, Value

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")


@dataclass(frozen=True, slots=True)
class Conversion:
    """How a field is kept that is neither text, whole number nor bytes."""

    to_column: Callable[[Any], Value]
    from_column: Callable[[Any], Any]


_MOST_KEPT: Final = 1024

_BATCHES: Final = (64, 8, 1)
"""How many rows one statement adds."""

FLAG: Final = Conversion(int, bool)
SCOPES: Final = Conversion(" ".join, lambda text: tuple(text.split()))
LIST: Final = Conversion(json.dumps, lru_cache(_MOST_KEPT)(lambda text: tuple(json.loads(text))))
"""Most rows say one of a few things, so what they say is read once."""


@dataclass(frozen=True, slots=True)
class Joined(Generic[R]):
    """One table's part of a row that several have part in: columns that stand together, read by their places.

    By its name a driver looks for a column among all of them.
    """

    columns: str
    """What a SELECT names, each with its table's name in front of it."""
    part: slice
    """Where they stand."""
    _record_of: Callable[[Sequence[Any]], R]

    def record(self, row: Row) -> R:
        """Return the record."""
        return self._record_of(row[self.part])


class Table(Generic[R]):
    """The table of one class of records.

    Args:
        name: the table's name.
        record: the class.
        **conversions: by field; the others are kept as they are.
    """

    def __init__(self, name: str, record: type[R], **conversions: Conversion) -> None:
        names = [field.name for field in fields(record)]
        places = ", ".join(f"${number}" for number in range(1, len(names) + 1))
        self.insertion: Final = f"INSERT INTO {name} ({', '.join(names)}) VALUES ({places})"  # noqa: S608 - our own names
        self.replacement: Final = ", ".join(f"{column} = excluded.{column}" for column in names)
        """What sets every column of a row that is there, but for those that are no fields, to what was inserted."""
        newest = f"SELECT max(number) FROM {name} WHERE number IS NOT NULL"  # noqa: S608 - likewise
        self._numbered_insertion = (
            f"INSERT INTO {name} ({', '.join(names)}, number) VALUES ({places}, coalesce(({newest}), 0) + 1)"  # noqa: S608 - likewise
        )
        self._deletion_of_oldest = f"DELETE FROM {name} WHERE number <= ({newest}) - $1"  # noqa: S608 - likewise
        self._record = record
        self._name, self._names = name, names
        self._fields_of = attrgetter(*names)
        self._columns_of = itemgetter(*names)
        self._insertion_of = cache(self._insertion)
        self._conversions = [(names.index(field), conversion) for field, conversion in conversions.items()]

    def joined(self, *, at: int = 0, is_kept: bool = False) -> Joined[R]:
        """Return how a record is read from a row of several tables.

        Args:
            at: how many columns stand before its own.
            is_kept: whether the record is made once for all rows that say the same; for what many rows are joined with.
        """
        return Joined(
            ", ".join(f"{self._name}.{column} AS {self._name}_{column}" for column in self._names),
            slice(at, at + len(self._names)),
            lru_cache(_MOST_KEPT)(self._record_of) if is_kept else self._record_of,
        )

    def values(self, record: R) -> list[Value]:
        """Return the parameters of `insertion`."""
        values: list[Any] = list(self._fields_of(record))
        for position, conversion in self._conversions:
            values[position] = conversion.to_column(values[position])
        return values

    def record(self, row: Row) -> R:
        """Return the record of a row that has all its columns, and perhaps others."""
        return self._record_of(self._columns_of(row))

    def _record_of(self, columns: Sequence[Any]) -> R:
        values = list(columns)
        for position, conversion in self._conversions:
            values[position] = conversion.from_column(values[position])
        return self._record(*values)

    def insert(self, transaction: Transaction, record: R) -> Coroutine[Any, Any, int]:
        """Add the record's row."""
        return transaction.run(self.insertion, *self.values(record))

    async def insert_all(self, transaction: Transaction, records: Sequence[R], *, unless_there: bool = False) -> None:
        """Add the rows of several records by as few statements as is sensible; likewise those that are not there."""
        at = 0
        for size in _BATCHES:
            while len(records) - at >= size:
                values = [value for record in records[at : at + size] for value in self.values(record)]
                await transaction.run(self._insertion_of(size, unless_there=unless_there), *values)
                at += size

    @property
    def width(self) -> int:
        """How many parameters a record has."""
        return len(self._names)

    def insertion_from(self, source: str, *, first: int) -> str:
        """Return the statement that adds a record where another part of it, `source`, has a row.

        The record's parameters begin with number `first`.
        """
        places = ", ".join(f"${number}" for number in range(first, first + self.width))
        return f"INSERT INTO {self._name} ({', '.join(self._names)}) SELECT {places} FROM {source}"  # noqa: S608 - our own names

    def _insertion(self, count: int, *, unless_there: bool) -> str:
        """Return the statement that adds so many rows; there are few of them, because each is prepared and kept."""
        width = self.width
        rows = ", ".join(
            f"({', '.join(f'${row * width + column + 1}' for column in range(width))})" for row in range(count)
        )
        suffix = " ON CONFLICT DO NOTHING" if unless_there else ""
        return f"INSERT INTO {self._name} ({', '.join(self._names)}) VALUES {rows}{suffix}"  # noqa: S608 - our own names

    def insert_numbered(self, transaction: Transaction, record: R) -> Coroutine[Any, Any, int]:
        """Add the record's row to a table that has a unique `number`, with the next one.

        So rows that strangers cause are bounded without being counted: of those that have a number there are no more
        than from the lowest to the highest. What comes to be somebody's own loses its number.
        """
        return transaction.run(self._numbered_insertion, *self.values(record))

    async def insert_among_newest(self, transaction: Transaction, record: R, *, most: int) -> None:
        """Add the record's row with a number, and delete what has a number that is `most` or more below it."""
        await self.insert_numbered(transaction, record)
        await transaction.run(self._deletion_of_oldest, most)

    async def one(self, transaction: Transaction, query: str, *parameters: Value) -> R | None:
        """Return the record of a query's first row, or None."""
        row = await transaction.one(query, *parameters)
        return None if row is None else self.record(row)

    async def all(self, transaction: Transaction, query: str, *parameters: Value) -> list[R]:
        """Return the records of all rows of a query."""
        return [self.record(row) for row in await transaction.all(query, *parameters)]


def delete_ended(table: str, key: str, *, end: str = "expires_at") -> str:
    """Return the statement that deletes at most $2 rows that ended until $1.

    It finds them by the index on their end and deletes them by their key, so a batch takes the same few milliseconds
    however many rows there are.

    Args:
        table: its name.
        key: the columns of its primary key, separated by commas.
        end: the column that says when a row ends.
    """
    ended = f"SELECT {key} FROM {table} WHERE {end} <= $1 ORDER BY {end} LIMIT $2"  # noqa: S608 - our own names
    return f"DELETE FROM {table} WHERE ({key}) IN ({ended})"  # noqa: S608 - likewise
