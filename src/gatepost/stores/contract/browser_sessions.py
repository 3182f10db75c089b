"""Browser sessions of the pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gatepost.oauth.limits import MOST_BEGUN
from gatepost.stores.contract.users import User


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """One browser, logged in or not. The cookie's secret is kept only as `session_fingerprint`."""

    session_fingerprint: bytes
    browser_id: str
    """Survives the renewal of the session at login; transactions are bound to it. Not a secret, not a credential."""
    subject: str | None
    provider: str | None
    """The name of the login provider; a login counts for that one only."""
    authenticated_at: int | None
    created_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session with the person who is logged in."""

    session: BrowserSession
    user: User | None
    """Disabled or not; None when nobody is logged in."""


class BrowserSessionStore(Protocol):
    """Browser sessions of the pages."""

    async def start_session(
        self, session: BrowserSession, *, replaces: bytes | None = None, most_anonymous: int = MOST_BEGUN
    ) -> bool:
        """Keep a session; the one whose fingerprint is `replaces` ends in the same step (renewal at login).

        False, and nothing is kept, when that one is gone: of several logins with one cookie, one gives a session.
        Of those in which nobody is logged in the oldest goes that is not of the `most_anonymous` newest.
        """

    async def find_session(self, session_fingerprint: bytes, *, now: int) -> SessionView | None:
        """Return the session with its user, if it has not expired."""

    async def end_session(self, session_fingerprint: bytes) -> None:
        """End the session; ending an unknown one is fine."""

    async def delete_sessions(self, *, before: int, limit: int) -> int:
        """Delete sessions that ended."""
