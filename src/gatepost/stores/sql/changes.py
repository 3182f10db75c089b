"""What changes at run time, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gatepost.stores.contract.changes import LoggedChange
from gatepost.stores.sql.database import Database, Transaction

_LAST: Final = "SELECT COALESCE(MAX(number), 0) AS number FROM change_log WHERE topic = $1"

_NOTE: Final = """
    INSERT INTO change_log (topic, change, number, origin, noted_at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (topic, change) DO UPDATE
    SET number = excluded.number, origin = excluded.origin, noted_at = excluded.noted_at
"""

_OVER: Final = """
    SELECT topic, change FROM change_log
    WHERE noted_at <= $1 AND EXISTS (
        SELECT 1 FROM change_log AS later
        WHERE later.topic = change_log.topic AND later.number > change_log.number
    )
    ORDER BY noted_at LIMIT $2
"""


class SqlChangeStore:
    """`ChangeStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append_changes(self, topic: str, changes: Sequence[str], *, origin: str, now: int) -> None:
        """See `ChangeStore.append_changes`."""

        async def operation(transaction: Transaction) -> None:
            number = await _last(transaction, topic)
            for change in changes:
                number += 1
                await transaction.run(_NOTE, topic, change, number, origin, now)

        await self._database.write(operation)

    async def changes_after(self, topic: str, number: int, *, limit: int) -> list[LoggedChange]:
        """See `ChangeStore.changes_after`."""

        async def operation(transaction: Transaction) -> list[LoggedChange]:
            rows = await transaction.all(
                "SELECT number, change, origin FROM change_log WHERE topic = $1 AND number > $2 "
                "ORDER BY number LIMIT $3",
                topic,
                number,
                limit,
            )
            return [LoggedChange(row["number"], row["change"], row["origin"]) for row in rows]

        return await self._database.read(operation)

    async def last_change(self, topic: str) -> int:
        """See `ChangeStore.last_change`."""

        async def operation(transaction: Transaction) -> int:
            return await _last(transaction, topic)

        return await self._database.read(operation)

    async def delete_changes(self, *, before: int, limit: int) -> int:
        """See `ChangeStore.delete_changes`."""

        async def operation(transaction: Transaction) -> int:
            over = await transaction.all(_OVER, before, limit)
            for row in over:
                await transaction.run(
                    "DELETE FROM change_log WHERE topic = $1 AND change = $2", row["topic"], row["change"]
                )
            return len(over)

        return await self._database.write(operation)


async def _last(transaction: Transaction, topic: str) -> int:
    row = await transaction.one(_LAST, topic)
    assert row is not None  # noqa: S101 - an aggregate always has a row; tells mypy
    number: int = row["number"]
    return number
