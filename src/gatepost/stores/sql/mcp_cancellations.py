"""Requests of the handshake era that clients took back, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gatepost.stores.sql.database import Database, Transaction

_FORGET: Final = "DELETE FROM mcp_cancellations WHERE session_fingerprint = $1 AND expires_at <= $2"

_CANCEL: Final = """
    INSERT INTO mcp_cancellations (session_fingerprint, request_id, expires_at)
    SELECT session_fingerprint, $2, $3 FROM mcp_sessions
    WHERE session_fingerprint = $1
      AND (SELECT COUNT(*) FROM mcp_cancellations WHERE session_fingerprint = $1) < $4
    ON CONFLICT (session_fingerprint, request_id) DO UPDATE SET expires_at = excluded.expires_at
"""

_IS_ALIVE: Final = "SELECT 1 FROM mcp_sessions WHERE session_fingerprint = $1 AND expires_at > $2"

_CANCELLED: Final = "SELECT request_id FROM mcp_cancellations WHERE session_fingerprint = $1 AND expires_at > $2"


class SqlMcpCancellationStore:
    """`McpCancellationStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cancel_request(
        self, session_fingerprint: bytes, request_id: str, *, now: int, expires_at: int, most: int
    ) -> None:
        """See `McpCancellationStore.cancel_request`."""

        async def operation(transaction: Transaction) -> None:
            await transaction.run(_FORGET, session_fingerprint, now)
            await transaction.run(_CANCEL, session_fingerprint, request_id, expires_at, most)

        await self._database.write(operation)

    async def cancelled_requests(
        self, session_fingerprints: Sequence[bytes], *, now: int
    ) -> dict[bytes, frozenset[str]]:
        """See `McpCancellationStore.cancelled_requests`."""

        async def operation(transaction: Transaction) -> dict[bytes, frozenset[str]]:
            cancelled: dict[bytes, frozenset[str]] = {}
            for session_fingerprint in session_fingerprints:
                if await transaction.one(_IS_ALIVE, session_fingerprint, now) is not None:
                    rows = await transaction.all(_CANCELLED, session_fingerprint, now)
                    cancelled[session_fingerprint] = frozenset(row["request_id"] for row in rows)
            return cancelled

        return await self._database.read(operation)
