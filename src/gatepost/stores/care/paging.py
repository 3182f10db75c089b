"""Reading a whole table a page at a time, in the order of its key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Final, Protocol

from gatepost.stores.sql.database import Row, Value
from gatepost.stores.sql.schema.catalogue import TableEntry

PAGE: Final = 1000
"""Rows that are in memory at a time."""


class Ask(Protocol):
    """Answers a query, as `Transaction.all`."""

    def __call__(self, sql: str, /, *parameters: Value) -> Awaitable[Sequence[Row]]:
        """Return all rows of a query."""


async def pages(ask: Ask, table: TableEntry, columns: Sequence[str]) -> AsyncIterator[Sequence[Row]]:
    """Yield the rows of a table, with the columns named, `PAGE` at a time."""
    key, names = ", ".join(table.key), ", ".join(columns)
    after = ", ".join(f"${number}" for number in range(2, len(table.key) + 2))
    first = f"SELECT {names} FROM {table.name} ORDER BY {key} LIMIT $1"  # noqa: S608 - names of our own schema
    following = f"SELECT {names} FROM {table.name} WHERE ({key}) > ({after}) ORDER BY {key} LIMIT $1"  # noqa: S608 - likewise
    page = await ask(first, PAGE)
    while page:
        yield page
        if len(page) < PAGE:
            return
        page = await ask(following, PAGE, *(page[-1][column] for column in table.key))
