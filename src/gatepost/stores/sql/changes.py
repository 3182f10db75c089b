"""What changes at run time, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gatepost.stores.contract.changes import LoggedChange
from gatepost.stores.contract.wakeups import Wakeup, WakeupKind
from gatepost.stores.sql.database import Operations, Transaction, read, write

_LAST: Final = "SELECT COALESCE(MAX(number), 0) AS number FROM change_log WHERE topic = $1"
_LAST_OF_ONE: Final = (
    "SELECT {0} AS position, (SELECT COALESCE(MAX(number), 0) FROM change_log WHERE topic = ${0}) AS number"
)

_APPEND: Final = """
    INSERT INTO change_log (topic, change, number, origin, noted_at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (topic, change) DO UPDATE
    SET number = excluded.number, origin = excluded.origin, noted_at = excluded.noted_at
"""

_AFTER: Final = "SELECT * FROM change_log WHERE topic = $1 AND number > $2 ORDER BY number LIMIT $3"

_DELETE: Final = """
    DELETE FROM change_log WHERE (topic, change) IN (
        SELECT topic, change FROM change_log
        WHERE noted_at <= $1 AND EXISTS (
            SELECT 1 FROM change_log AS later
            WHERE later.topic = change_log.topic AND later.number > change_log.number
        )
        ORDER BY noted_at LIMIT $2
    )
"""


class SqlChangeStore(Operations):
    """`ChangeStore` over a database."""

    @write
    async def append_changes(
        self, transaction: Transaction, topic: str, changes: Sequence[str], *, origin: str, now: int
    ) -> None:
        last = await _last(transaction, topic)
        for number, change in enumerate(changes, start=last + 1):
            await transaction.run(_APPEND, topic, change, number, origin, now)
        await transaction.notify(Wakeup(WakeupKind.CHANGES))

    @read
    async def changes_after(
        self, transaction: Transaction, topic: str, number: int, *, limit: int
    ) -> list[LoggedChange]:
        rows = await transaction.all(_AFTER, topic, number, limit)
        return [LoggedChange(row["number"], row["change"], row["origin"]) for row in rows]

    @read
    async def last_changes(self, transaction: Transaction, topics: Sequence[str]) -> dict[str, int]:
        # One statement for all, each part of which is the end of an index.
        query = " UNION ALL ".join(_LAST_OF_ONE.format(position) for position in range(1, len(topics) + 1))
        rows = await transaction.all(query, *topics) if topics else ()
        return {topics[row["position"] - 1]: row["number"] for row in rows}

    @write
    async def delete_changes(self, transaction: Transaction, *, before: int, limit: int) -> int:
        return await transaction.run(_DELETE, before, limit)


async def _last(transaction: Transaction, topic: str) -> int:
    row = await transaction.one(_LAST, topic)
    assert row is not None  # noqa: S101 - an aggregate always has a row; tells mypy
    number: int = row["number"]
    return number
