"""Sessions and questions of the handshake era, in SQL."""

from __future__ import annotations

from typing import Final

from gatepost.stores.contract.mcp import McpSession
from gatepost.stores.sql.database import Database, Transaction

_INSERT_SESSION: Final = """
    INSERT INTO mcp_sessions (
        session_fingerprint, owner, revision, client_capabilities, created_at, expires_at, log_level
    ) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""

_COUNT_SESSIONS: Final = "SELECT COUNT(*) AS count FROM mcp_sessions WHERE owner = $1 AND expires_at > $2"

_OLDEST_SESSIONS: Final = """
    SELECT session_fingerprint FROM mcp_sessions WHERE owner = $1 AND expires_at > $2
    ORDER BY expires_at, created_at LIMIT $3
"""

_MOST_ENDED_AT_ONCE: Final = 100
"""Sessions that one new one ends, so that nobody waits long after the number allowed has been lowered."""

_DELETE_SESSIONS: Final = """
    DELETE FROM mcp_sessions WHERE session_fingerprint IN (
        SELECT session_fingerprint FROM mcp_sessions WHERE expires_at <= $1 LIMIT $2
    )
"""

_SUBSCRIBE: Final = """
    INSERT INTO mcp_subscriptions (session_fingerprint, uri)
    SELECT session_fingerprint, $2 FROM mcp_sessions
    WHERE session_fingerprint = $1
      AND (SELECT COUNT(*) FROM mcp_subscriptions WHERE session_fingerprint = $1) < $3
    ON CONFLICT (session_fingerprint, uri) DO NOTHING
"""

_ASK: Final = """
    INSERT INTO mcp_client_requests (session_fingerprint, request_id, expires_at)
    SELECT session_fingerprint, $2, $3 FROM mcp_sessions WHERE session_fingerprint = $1
    ON CONFLICT (session_fingerprint, request_id) DO UPDATE SET expires_at = excluded.expires_at, response = NULL
"""

_ANSWER: Final = """
    UPDATE mcp_client_requests SET response = $3
    WHERE session_fingerprint = $1 AND request_id = $2 AND response IS NULL AND expires_at > $4
"""


class SqlMcpSessionStore:
    """`McpSessionStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start_session(self, session: McpSession, *, most: int, makes_room: bool) -> list[bytes] | None:
        """See `McpSessionStore.start_session`."""

        async def operation(transaction: Transaction) -> list[bytes] | None:
            counted = await transaction.one(_COUNT_SESSIONS, session.owner, session.created_at)
            assert counted is not None  # noqa: S101 - a count always has a row; tells mypy
            excess = max(0, counted["count"] + 1 - most)
            if excess and not makes_room:
                return None
            ended = await _end_oldest(transaction, session, min(excess, _MOST_ENDED_AT_ONCE)) if excess else []
            await transaction.run(
                _INSERT_SESSION,
                session.session_fingerprint,
                session.owner,
                session.revision,
                session.client_capabilities,
                session.created_at,
                session.expires_at,
                session.log_level,
            )
            return ended

        return await self._database.write(operation)

    async def find_session(self, session_fingerprint: bytes, *, owner: str, now: int) -> McpSession | None:
        """See `McpSessionStore.find_session`."""

        async def operation(transaction: Transaction) -> McpSession | None:
            row = await transaction.one(
                "SELECT * FROM mcp_sessions WHERE session_fingerprint = $1 AND owner = $2 AND expires_at > $3",
                session_fingerprint,
                owner,
                now,
            )
            if row is None:
                return None
            return McpSession(
                session_fingerprint=row["session_fingerprint"],
                owner=row["owner"],
                revision=row["revision"],
                client_capabilities=row["client_capabilities"],
                created_at=row["created_at"],
                expires_at=row["expires_at"],
                log_level=row["log_level"],
            )

        return await self._database.read(operation)

    async def prolong_session(self, session_fingerprint: bytes, *, expires_at: int) -> None:
        """See `McpSessionStore.prolong_session`."""

        async def operation(transaction: Transaction) -> None:
            await transaction.run(
                "UPDATE mcp_sessions SET expires_at = $2 WHERE session_fingerprint = $1 AND expires_at < $2",
                session_fingerprint,
                expires_at,
            )

        await self._database.write(operation)

    async def end_session(self, session_fingerprint: bytes, *, owner: str) -> bool:
        """See `McpSessionStore.end_session`."""

        async def operation(transaction: Transaction) -> bool:
            ended = await transaction.run(
                "DELETE FROM mcp_sessions WHERE session_fingerprint = $1 AND owner = $2", session_fingerprint, owner
            )
            return ended > 0

        return await self._database.write(operation)

    async def set_log_level(self, session_fingerprint: bytes, level: str) -> None:
        """See `McpSessionStore.set_log_level`."""

        async def operation(transaction: Transaction) -> None:
            await transaction.run(
                "UPDATE mcp_sessions SET log_level = $2 WHERE session_fingerprint = $1", session_fingerprint, level
            )

        await self._database.write(operation)

    async def subscribe(self, session_fingerprint: bytes, uri: str, *, limit: int) -> bool:
        """See `McpSessionStore.subscribe`."""

        async def operation(transaction: Transaction) -> bool:
            return await transaction.run(_SUBSCRIBE, session_fingerprint, uri, limit) > 0 or await _is_subscribed(
                transaction, session_fingerprint, uri
            )

        return await self._database.write(operation)

    async def unsubscribe(self, session_fingerprint: bytes, uri: str) -> None:
        """See `McpSessionStore.unsubscribe`."""

        async def operation(transaction: Transaction) -> None:
            await transaction.run(
                "DELETE FROM mcp_subscriptions WHERE session_fingerprint = $1 AND uri = $2", session_fingerprint, uri
            )

        await self._database.write(operation)

    async def is_subscribed(self, session_fingerprint: bytes, uri: str) -> bool:
        """See `McpSessionStore.is_subscribed`."""

        async def operation(transaction: Transaction) -> bool:
            return await _is_subscribed(transaction, session_fingerprint, uri)

        return await self._database.read(operation)

    async def delete_sessions(self, *, before: int, limit: int) -> int:
        """See `McpSessionStore.delete_sessions`."""

        async def operation(transaction: Transaction) -> int:
            return await transaction.run(_DELETE_SESSIONS, before, limit)

        return await self._database.write(operation)


class SqlMcpClientRequestStore:
    """`McpClientRequestStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, session_fingerprint: bytes, request_id: str, *, expires_at: int) -> None:
        """See `McpClientRequestStore.open`."""

        async def operation(transaction: Transaction) -> None:
            await transaction.run(
                _ASK,
                session_fingerprint,
                request_id,
                expires_at,
            )

        await self._database.write(operation)

    async def respond(self, session_fingerprint: bytes, request_id: str, message: bytes, *, now: int) -> bool:
        """See `McpClientRequestStore.respond`."""

        async def operation(transaction: Transaction) -> bool:
            return await transaction.run(_ANSWER, session_fingerprint, request_id, message, now) > 0

        return await self._database.write(operation)

    async def take_response(self, session_fingerprint: bytes, request_id: str) -> bytes | None:
        """See `McpClientRequestStore.take_response`."""

        async def take(transaction: Transaction) -> bytes | None:
            answer = await _answer_of(transaction, session_fingerprint, request_id)
            if answer is not None:
                await _withdraw(transaction, session_fingerprint, request_id)
            return answer

        async def is_there(transaction: Transaction) -> bool:
            return await _answer_of(transaction, session_fingerprint, request_id) is not None

        # Whoever waits asks every second, and must not hold up those who write. What is there is still taken once.
        if not await self._database.read(is_there):
            return None
        return await self._database.write(take)

    async def withdraw(self, session_fingerprint: bytes, request_id: str) -> None:
        """See `McpClientRequestStore.withdraw`."""

        async def operation(transaction: Transaction) -> None:
            await _withdraw(transaction, session_fingerprint, request_id)

        await self._database.write(operation)


async def _end_oldest(transaction: Transaction, session: McpSession, count: int) -> list[bytes]:
    rows = await transaction.all(_OLDEST_SESSIONS, session.owner, session.created_at, count)
    ended = [row["session_fingerprint"] for row in rows]
    for session_fingerprint in ended:
        await transaction.run("DELETE FROM mcp_sessions WHERE session_fingerprint = $1", session_fingerprint)
    return ended


async def _is_subscribed(transaction: Transaction, session_fingerprint: bytes, uri: str) -> bool:
    row = await transaction.one(
        "SELECT 1 FROM mcp_subscriptions WHERE session_fingerprint = $1 AND uri = $2", session_fingerprint, uri
    )
    return row is not None


async def _answer_of(transaction: Transaction, session_fingerprint: bytes, request_id: str) -> bytes | None:
    row = await transaction.one(
        "SELECT response FROM mcp_client_requests WHERE session_fingerprint = $1 AND request_id = $2",
        session_fingerprint,
        request_id,
    )
    return None if row is None else row["response"]


async def _withdraw(transaction: Transaction, session_fingerprint: bytes, request_id: str) -> None:
    await transaction.run(
        "DELETE FROM mcp_client_requests WHERE session_fingerprint = $1 AND request_id = $2",
        session_fingerprint,
        request_id,
    )
