"""Browser sessions of the pages."""

from __future__ import annotations

from typing import Protocol

from gatepost.late_dataclass import dataclass
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
    """The name of the login provider that said who it is; the login counts as long as that is there."""
    authenticated_at: int | None
    created_at: int
    expires_at: int
    last_used_at: int | None = None
    """As noted now and then; None when it was not used since it began."""
    issuer: str | None = None
    """Of the login that began it, with `external_subject`: one of those that the person has."""
    external_subject: str | None = None
    has_second_factor: bool = False
    """Whether who logged in has shown more than a password: a code of the second step, or a passkey. Of somebody who
    has neither any more it is False."""


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session with the person who is logged in."""

    session: BrowserSession
    user: User | None
    """Disabled or not; None when nobody is logged in."""


class BrowserSessionStore(Protocol):
    """Browser sessions of the pages."""

    async def start_session(
        self,
        session: BrowserSession,
        *,
        replaces: bytes | None = None,
        of: User | None = None,
        most_anonymous: int = MOST_BEGUN,
    ) -> bool:
        """Keep a session; the one whose fingerprint is `replaces` ends in the same step (renewal at login).

        False, and nothing is changed, when that one is gone: of several logins with one cookie, one gives a session.
        Likewise when the person is not as they were read, which is `of`: disabled by now, with another password or
        second step, or the session's login is not theirs any more. Each of these has ended their sessions, and a login
        that was under way meanwhile must not begin one after all.

        That somebody logged in is kept with their person.
        Of those in which nobody is logged in the oldest goes that is not of the `most_anonymous` newest.

        Repeated: False, since the session that it `replaces` is gone; without one, the key of the record is there
        already, which is an error of the backend. `find_session` says whether it began.
        """

    async def find_session(self, session_fingerprint: bytes, *, now: int) -> SessionView | None:
        """Return the session with its user, if it has not expired."""

    async def end_session(self, session_fingerprint: bytes) -> None:
        """End the session; ending an unknown one is fine.

        Repeated: fine.
        """

    async def note_use(self, session_fingerprint: bytes, *, now: int) -> None:
        """Keep that the session is in use; of an unknown one nothing is kept, and an earlier time changes nothing.

        Repeated: fine.
        """

    async def list_sessions(self, subject: str, *, now: int, limit: int) -> list[BrowserSession]:
        """Return the sessions in which this person is logged in and that have not expired; the newest first."""

    async def end_sessions(self, subject: str, *, only: bytes | None = None, but: bytes | None = None) -> int:
        """End this person's sessions: all, or `only` the one with this fingerprint, or all `but` that; return how many.

        Another person's session stays, and counts like one that there is not.

        Repeated: 0; whatever began meanwhile ends too.
        """

    async def delete_sessions(self, *, before: int, limit: int) -> int:
        """Delete sessions that ended."""
