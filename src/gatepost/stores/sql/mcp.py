"""Sessions, streams, client requests and cancellations of the handshake era, in SQL.

What belongs to a session is added only while its row is there, by one statement, and goes with it (ON DELETE CASCADE).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gatepost.stores.contract.mcp import MOST_APPS, McpSession, StreamEvent
from gatepost.stores.contract.wakeups import Wakeup, WakeupKind
from gatepost.stores.sql.database import Operations, Transaction, look_up, read, write
from gatepost.stores.sql.rows import delete_ended
from gatepost.stores.sql.tables import MCP_SESSIONS

_FIND_SESSION: Final = "SELECT * FROM mcp_sessions WHERE session_fingerprint = $1 AND owner = $2 AND expires_at > $3"
_COUNT_OF_OWNER: Final = "SELECT COUNT(*) AS count FROM mcp_sessions WHERE owner = $1 AND expires_at > $2"
_COUNT_OF_APP: Final = f"{_COUNT_OF_OWNER} AND app = $3"
_OLDEST_OF_OWNER: Final = """
    SELECT session_fingerprint FROM mcp_sessions WHERE owner = $1 AND expires_at > $2
    ORDER BY expires_at, created_at LIMIT $3
"""
_OLDEST_OF_APP: Final = _OLDEST_OF_OWNER.replace("$3", "$4").replace("> $2", "> $2 AND app = $3")
_MOST_ENDED_AT_ONCE: Final = 100
"""Sessions that one new one ends, so that nobody waits long after the number allowed has been lowered."""
_PROLONG: Final = "UPDATE mcp_sessions SET expires_at = $2 WHERE session_fingerprint = $1 AND expires_at < $2"
_SET_LOG_LEVEL: Final = "UPDATE mcp_sessions SET log_level = $2 WHERE session_fingerprint = $1"
_END_SESSION: Final = "DELETE FROM mcp_sessions WHERE session_fingerprint = $1 AND owner = $2"
_DELETE_ENDED_SESSIONS: Final = delete_ended("mcp_sessions", "session_fingerprint")

_SUBSCRIBE: Final = """
    INSERT INTO mcp_subscriptions (session_fingerprint, uri, as_sent)
    SELECT session_fingerprint, $2, $4 FROM mcp_sessions
    WHERE session_fingerprint = $1
      AND (SELECT COUNT(*) FROM mcp_subscriptions WHERE session_fingerprint = $1) < $3
    ON CONFLICT (session_fingerprint, uri) DO NOTHING
"""
_UNSUBSCRIBE: Final = "DELETE FROM mcp_subscriptions WHERE session_fingerprint = $1 AND uri = $2"
_SUBSCRIBED_AS: Final = "SELECT as_sent FROM mcp_subscriptions WHERE session_fingerprint = $1 AND uri = $2"


class SqlMcpSessionStore(Operations):
    """`McpSessionStore` over a database."""

    @write
    async def start_session(
        self, transaction: Transaction, session: McpSession, *, most: int, makes_room: bool
    ) -> list[bytes] | None:
        whose: tuple[str | int, ...] = session.owner, session.created_at
        ended: list[bytes] = []
        for count, oldest, parameters, room in (
            (_COUNT_OF_APP, _OLDEST_OF_APP, (*whose, session.app), most),
            (_COUNT_OF_OWNER, _OLDEST_OF_OWNER, whose, most * MOST_APPS),
        ):
            counted = await transaction.one(count, *parameters)
            assert counted is not None  # noqa: S101 - a count always has a row; tells mypy
            excess = max(0, counted["count"] + 1 - room)
            if excess and not makes_room:
                return None
            if excess:
                for row in await transaction.all(oldest, *parameters, min(excess, _MOST_ENDED_AT_ONCE)):
                    await transaction.run(_END_SESSION, row["session_fingerprint"], session.owner)
                    await transaction.notify(Wakeup(WakeupKind.SESSION_ENDED, row["session_fingerprint"]))
                    ended.append(row["session_fingerprint"])
        await MCP_SESSIONS.insert(transaction, session)
        return ended

    @look_up
    async def find_session(
        self, transaction: Transaction, session_fingerprint: bytes, *, owner: str, now: int
    ) -> McpSession | None:
        return await MCP_SESSIONS.one(transaction, _FIND_SESSION, session_fingerprint, owner, now)

    @write
    async def prolong_session(self, transaction: Transaction, session_fingerprint: bytes, *, expires_at: int) -> None:
        await transaction.run(_PROLONG, session_fingerprint, expires_at)

    @write
    async def end_session(self, transaction: Transaction, session_fingerprint: bytes, *, owner: str) -> bool:
        if not await transaction.run(_END_SESSION, session_fingerprint, owner):
            return False
        await transaction.notify(Wakeup(WakeupKind.SESSION_ENDED, session_fingerprint))
        return True

    @write
    async def set_log_level(self, transaction: Transaction, session_fingerprint: bytes, level: str) -> None:
        await transaction.run(_SET_LOG_LEVEL, session_fingerprint, level)

    @write
    async def subscribe(
        self, transaction: Transaction, session_fingerprint: bytes, uri: str, *, as_sent: str, limit: int
    ) -> bool:
        if await transaction.run(_SUBSCRIBE, session_fingerprint, uri, limit, as_sent):
            return True
        return await transaction.one(_SUBSCRIBED_AS, session_fingerprint, uri) is not None

    @write
    async def unsubscribe(self, transaction: Transaction, session_fingerprint: bytes, uri: str) -> None:
        await transaction.run(_UNSUBSCRIBE, session_fingerprint, uri)

    @read
    async def subscribed_as(self, transaction: Transaction, session_fingerprint: bytes, uri: str) -> str | None:
        found = await transaction.one(_SUBSCRIBED_AS, session_fingerprint, uri)
        return None if found is None else found["as_sent"]

    @write
    async def delete_sessions(self, transaction: Transaction, *, before: int, limit: int) -> int:
        return await transaction.run(_DELETE_ENDED_SESSIONS, before, limit)


_APPEND_EVENT: Final = """
    INSERT INTO mcp_stream_events (session_fingerprint, stream_id, number, message)
    SELECT session_fingerprint, $2, 1 + (
        SELECT COALESCE(MAX(number), 0) FROM mcp_stream_events WHERE session_fingerprint = $1 AND stream_id = $2
    ), $3
    FROM mcp_sessions WHERE session_fingerprint = $1
"""
_IS_CONNECTED: Final = "SELECT 1 FROM mcp_stream_connections WHERE session_fingerprint = $1 AND stream_id = $2"
_LAST_EVENT: Final = f"""
    SELECT MAX(number) AS number, EXISTS ({_IS_CONNECTED}) AS is_connected
    FROM mcp_stream_events WHERE session_fingerprint = $1 AND stream_id = $2
"""  # noqa: S608 - our own text
_FORGET_EVENTS: Final = """
    DELETE FROM mcp_stream_events WHERE session_fingerprint = $1 AND stream_id = $2 AND number <= $3
"""
_EVENTS_AFTER: Final = """
    SELECT number, message FROM mcp_stream_events
    WHERE session_fingerprint = $1 AND stream_id = $2 AND number > $3 ORDER BY number LIMIT $4
"""
_FINISH_STREAM: Final = """
    INSERT INTO mcp_finished_streams (session_fingerprint, stream_id)
    SELECT session_fingerprint, $2 FROM mcp_sessions WHERE session_fingerprint = $1
    ON CONFLICT (session_fingerprint, stream_id) DO NOTHING
"""
_IS_FINISHED: Final = "SELECT 1 FROM mcp_finished_streams WHERE session_fingerprint = $1 AND stream_id = $2"
_FORGET_STREAM: Final = (
    "DELETE FROM mcp_stream_events WHERE session_fingerprint = $1 AND stream_id = $2",
    "DELETE FROM mcp_finished_streams WHERE session_fingerprint = $1 AND stream_id = $2",
    "DELETE FROM mcp_stream_connections WHERE session_fingerprint = $1 AND stream_id = $2",
)
_ATTACH_STREAM: Final = """
    INSERT INTO mcp_stream_connections (session_fingerprint, stream_id, connection)
    SELECT session_fingerprint, $2, $3 FROM mcp_sessions WHERE session_fingerprint = $1
    ON CONFLICT (session_fingerprint, stream_id) DO UPDATE SET connection = excluded.connection
"""
_IS_ATTACHED: Final = """
    SELECT 1 FROM mcp_stream_connections WHERE session_fingerprint = $1 AND stream_id = $2 AND connection = $3
"""
# A stream that nobody else can have anything to do with is in neither table.
_IS_KNOWN: Final = f"""
    {_IS_CONNECTED} UNION ALL
    SELECT 1 FROM mcp_stream_events WHERE session_fingerprint = $1 AND stream_id = $2 LIMIT 1
"""  # noqa: S608 - our own text
_ATTACHED_STREAMS: Final = "SELECT stream_id FROM mcp_stream_connections WHERE session_fingerprint = $1"


class SqlMcpStreamStore(Operations):
    """`McpStreamStore` over a database."""

    @write
    async def append_event(
        self,
        transaction: Transaction,
        session_fingerprint: bytes,
        stream_id: str,
        message: bytes,
        *,
        connection: str | None = None,
        most: int | None = None,
    ) -> int:
        stream = (session_fingerprint, stream_id)
        if connection is not None and await transaction.one(_IS_ATTACHED, *stream, connection) is None:
            return 0
        if not await transaction.run(_APPEND_EVENT, *stream, message):
            return 0
        last = await transaction.one(_LAST_EVENT, *stream)
        assert last is not None  # noqa: S101 - an aggregate always has a row; tells mypy
        number: int = last["number"]
        if most is not None and number > most:
            await transaction.run(_FORGET_EVENTS, *stream, number - most)
        # Without a connection it is not appended by who has one, and only who came back for a stream has one.
        if connection is None and last["is_connected"]:
            await transaction.notify(Wakeup(WakeupKind.STREAM, *stream))
        return number

    @write
    async def finish_stream(self, transaction: Transaction, session_fingerprint: bytes, stream_id: str) -> None:
        stream = (session_fingerprint, stream_id)
        await transaction.run(_FINISH_STREAM, *stream)
        if await transaction.one(_IS_CONNECTED, *stream) is not None:
            await transaction.notify(Wakeup(WakeupKind.STREAM, *stream))

    @write
    async def forget_stream(self, transaction: Transaction, session_fingerprint: bytes, stream_id: str) -> None:
        for statement in _FORGET_STREAM:
            await transaction.run(statement, session_fingerprint, stream_id)

    @read
    async def events_after(
        self,
        transaction: Transaction,
        session_fingerprint: bytes,
        stream_id: str,
        number: int,
        *,
        limit: int,
        connection: str | None = None,
    ) -> tuple[list[StreamEvent], bool]:
        stream = (session_fingerprint, stream_id)
        if connection is not None and await transaction.one(_IS_ATTACHED, *stream, connection) is None:
            return [], True
        # One more than asked for: it says whether these are the last.
        rows = await transaction.all(_EVENTS_AFTER, *stream, number, limit + 1)
        is_finished = await transaction.one(_IS_FINISHED, *stream) is not None
        return [StreamEvent(row["number"], row["message"]) for row in rows[:limit]], is_finished and len(rows) <= limit

    @write
    async def attach_stream(
        self, transaction: Transaction, session_fingerprint: bytes, stream_id: str, connection: str
    ) -> bool:
        stream = (session_fingerprint, stream_id)
        is_known = await transaction.one(_IS_KNOWN, *stream) is not None
        if not await transaction.run(_ATTACH_STREAM, *stream, connection):
            return False
        if is_known:
            await transaction.notify(Wakeup(WakeupKind.STREAM, *stream))
        return True

    @read
    async def attached_streams(
        self, transaction: Transaction, session_fingerprints: Sequence[bytes]
    ) -> set[tuple[bytes, str]]:
        return {
            (session_fingerprint, row["stream_id"])
            for session_fingerprint in session_fingerprints
            for row in await transaction.all(_ATTACHED_STREAMS, session_fingerprint)
        }


_OPEN: Final = """
    INSERT INTO mcp_client_requests (session_fingerprint, request_id, expires_at)
    SELECT session_fingerprint, $2, $3 FROM mcp_sessions WHERE session_fingerprint = $1
    ON CONFLICT (session_fingerprint, request_id) DO UPDATE SET expires_at = excluded.expires_at, response = NULL
"""
_RESPOND: Final = """
    UPDATE mcp_client_requests SET response = $3
    WHERE session_fingerprint = $1 AND request_id = $2 AND response IS NULL AND expires_at > $4
"""
_RESPONSE: Final = "SELECT response FROM mcp_client_requests WHERE session_fingerprint = $1 AND request_id = $2"
_WITHDRAW: Final = "DELETE FROM mcp_client_requests WHERE session_fingerprint = $1 AND request_id = $2"


class SqlMcpClientRequestStore(Operations):
    """`McpClientRequestStore` over a database."""

    @write
    async def open(
        self, transaction: Transaction, session_fingerprint: bytes, request_id: str, *, expires_at: int
    ) -> None:
        await transaction.run(_OPEN, session_fingerprint, request_id, expires_at)

    @write
    async def respond(
        self,
        transaction: Transaction,
        session_fingerprint: bytes,
        request_id: str,
        message: bytes,
        *,
        now: int,
        wakes: bool = True,
    ) -> bool:
        if not await transaction.run(_RESPOND, session_fingerprint, request_id, message, now):
            return False
        if wakes:
            await transaction.notify(Wakeup(WakeupKind.RESPONSE, session_fingerprint, request_id))
        return True

    @read
    async def find_response(
        self, transaction: Transaction, session_fingerprint: bytes, request_id: str
    ) -> bytes | None:
        row = await transaction.one(_RESPONSE, session_fingerprint, request_id)
        return None if row is None else row["response"]

    @write
    async def withdraw(self, transaction: Transaction, session_fingerprint: bytes, request_id: str) -> None:
        await transaction.run(_WITHDRAW, session_fingerprint, request_id)


_FORGET_CANCELLATIONS: Final = "DELETE FROM mcp_cancellations WHERE session_fingerprint = $1 AND expires_at <= $2"
_CANCEL: Final = """
    INSERT INTO mcp_cancellations (session_fingerprint, request_id, expires_at)
    SELECT session_fingerprint, $2, $3 FROM mcp_sessions
    WHERE session_fingerprint = $1
      AND (SELECT COUNT(*) FROM mcp_cancellations WHERE session_fingerprint = $1) < $4
    ON CONFLICT (session_fingerprint, request_id) DO UPDATE SET expires_at = excluded.expires_at
"""
_IS_ALIVE: Final = "SELECT 1 FROM mcp_sessions WHERE session_fingerprint = $1 AND expires_at > $2"
_CANCELLED: Final = "SELECT request_id FROM mcp_cancellations WHERE session_fingerprint = $1 AND expires_at > $2"


class SqlMcpCancellationStore(Operations):
    """`McpCancellationStore` over a database."""

    @write
    async def cancel_request(
        self,
        transaction: Transaction,
        session_fingerprint: bytes,
        request_id: str,
        *,
        now: int,
        expires_at: int,
        most: int,
    ) -> None:
        await transaction.run(_FORGET_CANCELLATIONS, session_fingerprint, now)
        if await transaction.run(_CANCEL, session_fingerprint, request_id, expires_at, most):
            await transaction.notify(Wakeup(WakeupKind.CANCELLED, session_fingerprint))

    @read
    async def cancelled_requests(
        self, transaction: Transaction, session_fingerprints: Sequence[bytes], *, now: int
    ) -> dict[bytes, frozenset[str]]:
        cancelled: dict[bytes, frozenset[str]] = {}
        for session_fingerprint in session_fingerprints:
            if await transaction.one(_IS_ALIVE, session_fingerprint, now) is not None:
                rows = await transaction.all(_CANCELLED, session_fingerprint, now)
                cancelled[session_fingerprint] = frozenset(row["request_id"] for row in rows)
        return cancelled
