"""Streams of the handshake era, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gatepost.stores.contract.mcp import StreamEvent
from gatepost.stores.sql.database import Database, Transaction

_APPEND_EVENT: Final = """
    INSERT INTO mcp_stream_events (session_fingerprint, stream_id, number, message)
    SELECT session_fingerprint, $2, 1 + (
        SELECT COALESCE(MAX(number), 0) FROM mcp_stream_events WHERE session_fingerprint = $1 AND stream_id = $2
    ), $3
    FROM mcp_sessions WHERE session_fingerprint = $1
"""

_FORGET_EVENTS: Final = (
    "DELETE FROM mcp_stream_events WHERE session_fingerprint = $1 AND stream_id = $2 AND number <= $3"
)

_ATTACH_STREAM: Final = """
    INSERT INTO mcp_stream_connections (session_fingerprint, stream_id, connection)
    SELECT session_fingerprint, $2, $3 FROM mcp_sessions WHERE session_fingerprint = $1
    ON CONFLICT (session_fingerprint, stream_id) DO UPDATE SET connection = excluded.connection
"""

_FORGET_STREAM: Final = (
    "DELETE FROM mcp_stream_events WHERE session_fingerprint = $1 AND stream_id = $2",
    "DELETE FROM mcp_finished_streams WHERE session_fingerprint = $1 AND stream_id = $2",
    "DELETE FROM mcp_stream_connections WHERE session_fingerprint = $1 AND stream_id = $2",
)


class SqlMcpStreamStore:
    """`McpStreamStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append_event(
        self,
        session_fingerprint: bytes,
        stream_id: str,
        message: bytes,
        *,
        connection: str | None = None,
        most: int | None = None,
    ) -> int:
        """See `McpStreamStore.append_event`."""

        async def operation(transaction: Transaction) -> int:
            if connection is not None and not await _is_attached(
                transaction, session_fingerprint, stream_id, connection
            ):
                return 0
            if not await transaction.run(_APPEND_EVENT, session_fingerprint, stream_id, message):
                return 0
            row = await transaction.one(
                "SELECT MAX(number) AS number FROM mcp_stream_events WHERE session_fingerprint = $1 AND stream_id = $2",
                session_fingerprint,
                stream_id,
            )
            assert row is not None  # noqa: S101 - an aggregate always has a row; tells mypy
            number: int = row["number"]
            if most is not None and number > most:
                await transaction.run(_FORGET_EVENTS, session_fingerprint, stream_id, number - most)
            return number

        return await self._database.write(operation)

    async def finish_stream(self, session_fingerprint: bytes, stream_id: str) -> None:
        """See `McpStreamStore.finish_stream`."""

        async def operation(transaction: Transaction) -> None:
            await transaction.run(
                "INSERT INTO mcp_finished_streams (session_fingerprint, stream_id) "
                "SELECT session_fingerprint, $2 FROM mcp_sessions WHERE session_fingerprint = $1 "
                "ON CONFLICT (session_fingerprint, stream_id) DO NOTHING",
                session_fingerprint,
                stream_id,
            )

        await self._database.write(operation)

    async def forget_stream(self, session_fingerprint: bytes, stream_id: str) -> None:
        """See `McpStreamStore.forget_stream`."""

        async def operation(transaction: Transaction) -> None:
            for statement in _FORGET_STREAM:
                await transaction.run(statement, session_fingerprint, stream_id)

        await self._database.write(operation)

    async def events_after(
        self, session_fingerprint: bytes, stream_id: str, number: int, *, limit: int, connection: str | None = None
    ) -> tuple[list[StreamEvent], bool]:
        """See `McpStreamStore.events_after`."""

        async def operation(transaction: Transaction) -> tuple[list[StreamEvent], bool]:
            if connection is not None and not await _is_attached(
                transaction, session_fingerprint, stream_id, connection
            ):
                return [], True
            # One more than asked for: it says whether these are the last.
            rows = await transaction.all(
                "SELECT number, message FROM mcp_stream_events "
                "WHERE session_fingerprint = $1 AND stream_id = $2 AND number > $3 ORDER BY number LIMIT $4",
                session_fingerprint,
                stream_id,
                number,
                limit + 1,
            )
            finished = await transaction.one(
                "SELECT 1 FROM mcp_finished_streams WHERE session_fingerprint = $1 AND stream_id = $2",
                session_fingerprint,
                stream_id,
            )
            events = [StreamEvent(row["number"], row["message"]) for row in rows[:limit]]
            return events, finished is not None and len(rows) <= limit

        return await self._database.read(operation)

    async def attach_stream(self, session_fingerprint: bytes, stream_id: str, connection: str) -> bool:
        """See `McpStreamStore.attach_stream`."""

        async def operation(transaction: Transaction) -> bool:
            return await transaction.run(_ATTACH_STREAM, session_fingerprint, stream_id, connection) > 0

        return await self._database.write(operation)

    async def attached_streams(self, session_fingerprints: Sequence[bytes]) -> set[tuple[bytes, str]]:
        """See `McpStreamStore.attached_streams`."""

        async def operation(transaction: Transaction) -> set[tuple[bytes, str]]:
            taken: set[tuple[bytes, str]] = set()
            for session_fingerprint in session_fingerprints:
                rows = await transaction.all(
                    "SELECT stream_id FROM mcp_stream_connections WHERE session_fingerprint = $1", session_fingerprint
                )
                taken.update((session_fingerprint, row["stream_id"]) for row in rows)
            return taken

        return await self._database.read(operation)


async def _is_attached(transaction: Transaction, session_fingerprint: bytes, stream_id: str, connection: str) -> bool:
    row = await transaction.one(
        "SELECT connection FROM mcp_stream_connections WHERE session_fingerprint = $1 AND stream_id = $2",
        session_fingerprint,
        stream_id,
    )
    return row is not None and row["connection"] == connection
