"""Browser sessions of the pages, in SQL."""

from __future__ import annotations

from typing import Final

from gatepost.oauth.limits import MOST_BEGUN
from gatepost.stores.contract.browser_sessions import BrowserSession, SessionView
from gatepost.stores.contract.linked_logins import LoginKey
from gatepost.stores.contract.users import User
from gatepost.stores.sql.database import Operations, Transaction, read, write
from gatepost.stores.sql.linked_logins import find_person
from gatepost.stores.sql.rows import delete_ended
from gatepost.stores.sql.tables import BROWSER_SESSIONS, USERS

_FIND: Final = "SELECT * FROM browser_sessions WHERE session_fingerprint = $1 AND expires_at > $2"
_USER: Final = "SELECT * FROM users WHERE subject = $1"
_NOTE_LOGIN: Final = """
    UPDATE users SET last_login_at = $2 WHERE subject = $1 AND COALESCE(last_login_at, 0) < $2
"""
_END: Final = "DELETE FROM browser_sessions WHERE session_fingerprint = $1"
_NOTE_USE: Final = """
    UPDATE browser_sessions SET last_used_at = $2
    WHERE session_fingerprint = $1 AND COALESCE(last_used_at, created_at) < $2
"""
_LIST: Final = """
    SELECT * FROM browser_sessions WHERE subject = $1 AND expires_at > $2
    ORDER BY created_at DESC, session_fingerprint LIMIT $3
"""
_DELETE_ENDED: Final = delete_ended("browser_sessions", "session_fingerprint")


class SqlBrowserSessionStore(Operations):
    """`BrowserSessionStore` over a database."""

    @write
    async def start_session(
        self,
        transaction: Transaction,
        session: BrowserSession,
        *,
        replaces: bytes | None = None,
        of: User | None = None,
        most_anonymous: int = MOST_BEGUN,
    ) -> bool:
        if of is not None and not await _is_still(transaction, of, session):
            return False
        if replaces is not None and not await transaction.run(_END, replaces):
            return False
        if session.subject is None:
            await BROWSER_SESSIONS.insert_among_newest(transaction, session, most=most_anonymous)
        else:
            await BROWSER_SESSIONS.insert(transaction, session)
            # A session that was confirmed is as old as it was.
            await transaction.run(_NOTE_LOGIN, session.subject, session.created_at)
        return True

    @read
    async def find_session(
        self, transaction: Transaction, session_fingerprint: bytes, *, now: int
    ) -> SessionView | None:
        session = await BROWSER_SESSIONS.one(transaction, _FIND, session_fingerprint, now)
        return None if session is None else SessionView(session, await USERS.one(transaction, _USER, session.subject))

    @write
    async def end_session(self, transaction: Transaction, session_fingerprint: bytes) -> None:
        await transaction.run(_END, session_fingerprint)

    @write
    async def note_use(self, transaction: Transaction, session_fingerprint: bytes, *, now: int) -> None:
        await transaction.run(_NOTE_USE, session_fingerprint, now)

    @read
    async def list_sessions(
        self, transaction: Transaction, subject: str, *, now: int, limit: int
    ) -> list[BrowserSession]:
        return await BROWSER_SESSIONS.all(transaction, _LIST, subject, now, limit)

    @write
    async def end_sessions(
        self, transaction: Transaction, subject: str, *, only: bytes | None = None, but: bytes | None = None
    ) -> int:
        ended = "DELETE FROM browser_sessions WHERE subject = $1"
        if only is not None:
            return await transaction.run(f"{ended} AND session_fingerprint = $2", subject, only)
        if but is not None:
            return await transaction.run(f"{ended} AND session_fingerprint <> $2", subject, but)
        return await transaction.run(ended, subject)

    @write
    async def delete_sessions(self, transaction: Transaction, *, before: int, limit: int) -> int:
        return await transaction.run(_DELETE_ENDED, before, limit)


async def _is_still(transaction: Transaction, known: User, session: BrowserSession) -> bool:
    """Say whether somebody can log in still by what they showed, as they were `known` then."""
    login = LoginKey(session.issuer or known.issuer, session.external_subject or known.external_subject)
    user, _ = await find_person(transaction, login)
    shown = known.subject, known.password_hash, known.second_step, None
    return user is not None and (user.subject, user.password_hash, user.second_step, user.disabled_at) == shown
