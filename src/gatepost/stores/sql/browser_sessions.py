"""Browser sessions of the pages, in SQL."""

from __future__ import annotations

from typing import Final

from gatepost.stores.contract.browser_sessions import BrowserSession
from gatepost.stores.sql.database import Database, Row, Transaction

_INSERT: Final = """
    INSERT INTO browser_sessions (
        session_fingerprint, browser_id, subject, display_name, authenticated_at, created_at, expires_at
    ) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


class SqlBrowserSessionStore:
    """`BrowserSessionStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start_session(self, session: BrowserSession, *, replaces: bytes | None = None) -> bool:
        """See `BrowserSessionStore.start_session`."""

        async def operation(transaction: Transaction) -> bool:
            if replaces is not None and not await _end_session(transaction, replaces):
                return False
            await transaction.run(
                _INSERT,
                session.session_fingerprint,
                session.browser_id,
                session.subject,
                session.display_name,
                session.authenticated_at,
                session.created_at,
                session.expires_at,
            )
            return True

        return await self._database.write(operation)

    async def find_session(self, session_fingerprint: bytes, *, now: int) -> BrowserSession | None:
        """See `BrowserSessionStore.find_session`."""

        async def operation(transaction: Transaction) -> BrowserSession | None:
            row = await transaction.one(
                "SELECT * FROM browser_sessions WHERE session_fingerprint = $1 AND expires_at > $2",
                session_fingerprint,
                now,
            )
            return None if row is None else _browser_session(row)

        return await self._database.read(operation)

    async def end_session(self, session_fingerprint: bytes) -> None:
        """See `BrowserSessionStore.end_session`."""

        async def operation(transaction: Transaction) -> None:
            await _end_session(transaction, session_fingerprint)

        await self._database.write(operation)


async def _end_session(transaction: Transaction, session_fingerprint: bytes) -> bool:
    ended = await transaction.run("DELETE FROM browser_sessions WHERE session_fingerprint = $1", session_fingerprint)
    return ended > 0


def _browser_session(row: Row) -> BrowserSession:
    return BrowserSession(
        session_fingerprint=row["session_fingerprint"],
        browser_id=row["browser_id"],
        subject=row["subject"],
        display_name=row["display_name"],
        authenticated_at=row["authenticated_at"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )
