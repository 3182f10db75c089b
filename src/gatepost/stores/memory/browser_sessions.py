"""Browser sessions of the pages, in memory."""

from __future__ import annotations

from gatepost.stores.contract.browser_sessions import BrowserSession
from gatepost.stores.memory.records import Records


class MemoryBrowserSessionStore:
    """`BrowserSessionStore` in memory."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def start_session(self, session: BrowserSession, *, replaces: bytes | None = None) -> bool:
        """See `BrowserSessionStore.start_session`."""
        if replaces is not None and self._records.browser_sessions.pop(replaces, None) is None:
            return False
        self._records.browser_sessions[session.session_fingerprint] = session
        return True

    async def find_session(self, session_fingerprint: bytes, *, now: int) -> BrowserSession | None:
        """See `BrowserSessionStore.find_session`."""
        session = self._records.browser_sessions.get(session_fingerprint)
        return None if session is None or session.expires_at <= now else session

    async def end_session(self, session_fingerprint: bytes) -> None:
        """See `BrowserSessionStore.end_session`."""
        self._records.browser_sessions.pop(session_fingerprint, None)
