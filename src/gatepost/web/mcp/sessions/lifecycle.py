"""The sessions of the handshake era: begun, found and ended (2025-11-25 basic/transports, "Session Management").

A session belongs to whom the access token speaks for, so its id alone opens nothing (basic/security_best_practices,
"Session Hijacking"). What a look-up found is cached for a few seconds, so that most requests touch no store; for as
long, another process may still let a request in after the session ended here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Final

import orjson

from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import InvalidParams
from gatepost.protocol.versions import Revision
from gatepost.resource.principal import Principal
from gatepost.stores.contract.mcp import McpSession, McpSessionStore
from gatepost.tokens.opaque import RandomBytes, SecretKind, fingerprint, looks_like, mint

SESSION_HEADER: Final = b"mcp-session-id"
IDLE_SECONDS: Final = 86_400
"""How long a session lives without being used, unless told otherwise."""
MOST_PER_OWNER: Final = 1_000
"""How many sessions one user may have with one app, unless told otherwise."""
MOST_OF_EVERYBODY: Final = 10_000
"""How many sessions there may be at an endpoint without authentication, where nobody owns any."""
CACHE_SECONDS: Final = 5
"""How long a look-up is cached."""
LARGEST_CAPABILITIES: Final = 16 * 1024
"""Bytes of what `initialize` may declare. It is kept with the session, and with each look-up that is cached."""
_MOST_CACHED: Final = 10_000
# A session that is in use is written to that often, and not at each request.
_MOST_PROLONGATIONS: Final = 24
_LEAST_BETWEEN_PROLONGATIONS: Final = 60  # seconds


@dataclass(slots=True, kw_only=True)
class McpSessions:
    """All sessions."""

    store: McpSessionStore
    resource: str
    """The endpoint's identifier; a session of one endpoint is none of another."""
    now: Callable[[], int]
    random_bytes: RandomBytes
    """Where ids come from."""
    idle_seconds: int = IDLE_SECONDS
    """How long a session lives without being used."""
    most_per_owner: int = MOST_PER_OWNER
    """How many one user may have with one app. Beyond them the one used longest ago ends, because honest clients begin
    new ones all the time and leave the old ones behind."""
    _cache: dict[str, tuple[McpSession, int, Principal | None]] = field(default_factory=dict, init=False)
    """By id: what was found, since when that is cached, and for whom it was found."""
    _ids: dict[bytes, str] = field(default_factory=dict, init=False)
    """Of those in the cache, by fingerprint."""
    _endings: int = field(default=0, init=False)
    """Counts up whenever sessions end here, so that a look-up that was under way then is not cached."""

    async def start(
        self, principal: Principal | None, revision: Revision, capabilities: Mapping[str, Any]
    ) -> tuple[str | None, Sequence[bytes]]:
        """Begin a session; return its id, and the fingerprints of those that ended to make room for it.

        Without authentication all sessions have one owner, and no stranger may end another's: when there is no room,
        none is begun, and the id is None. The client is served without (2025-11-25 "Session Management": MAY).

        Raises:
            InvalidParams: the capabilities are larger than what is kept.
        """
        now = self.now()
        declared = orjson.dumps(capabilities)
        if len(declared) > LARGEST_CAPABILITIES:
            raise InvalidParams(f'"params.capabilities" may have {LARGEST_CAPABILITIES} bytes.')
        session_id = mint(SecretKind.MCP_SESSION, self.random_bytes)
        session = McpSession(
            session_fingerprint=fingerprint(session_id),
            owner=owner_of(principal, self.resource),
            revision=revision.version,
            client_capabilities=declared,
            created_at=now,
            expires_at=now + self.idle_seconds,
            app=app_of(principal),
        )
        is_somebodys = principal is not None
        most = self.most_per_owner if is_somebodys else MOST_OF_EVERYBODY
        ended = await self.store.start_session(session, most=most, makes_room=is_somebodys)
        if ended is None:
            return None, ()
        if ended:
            self.forget(ended)
        self._remember(session_id, session, now, principal)
        return session_id, ended

    def cached(self, session_id: str, principal: Principal | None) -> McpSession | None:
        """Return the session if a look-up a moment ago found that it is this very principal's and lives."""
        cached = self._cache.get(session_id)
        if cached is None:
            return None
        session, since, whose = cached
        now = self.now()
        # Principals are kept for as long as tokens are cached, so equal ones mostly are the same one.
        is_still = whose is principal and now - since < CACHE_SECONDS and session.expires_at > now
        return session if is_still else None

    async def find(self, session_id: str, principal: Principal | None) -> McpSession | None:
        """Return the session if it is this principal's and not over, and have it live on."""
        now, endings = self.now(), self._endings
        owner = owner_of(principal, self.resource)
        cached = self._cache.get(session_id)
        if cached is not None and now - cached[1] < CACHE_SECONDS:
            session = cached[0]
            if session.owner != owner or session.expires_at <= now:
                return None
            self._cache[session_id] = (session, cached[1], principal)
            return session
        if not looks_like(SecretKind.MCP_SESSION, session_id):
            return None
        found = await self.store.find_session(fingerprint(session_id), owner=owner, now=now)
        if found is None:
            return None
        found = await self.in_use(found)
        if endings == self._endings:
            self._remember(session_id, found, now, principal)
        return found

    async def in_use(self, session: McpSession) -> McpSession:
        """Have a session live on because it is used, and return it as it is then."""
        expires_at = self.now() + self.idle_seconds
        # At the latest when half of its time is over, or a session that is used would end.
        least = min(_LEAST_BETWEEN_PROLONGATIONS, self.idle_seconds // 2)
        if expires_at - session.expires_at < max(least, self.idle_seconds // _MOST_PROLONGATIONS):
            return session
        await self.store.prolong_session(session.session_fingerprint, expires_at=expires_at)
        return replace(session, expires_at=expires_at)

    async def end(self, session_id: str, principal: Principal | None) -> bool:
        """End the session with all that is its; False when this principal has no such session."""
        if not looks_like(SecretKind.MCP_SESSION, session_id):
            return False
        owner = owner_of(principal, self.resource)
        is_ended = await self.store.end_session(fingerprint(session_id), owner=owner)
        # Only now, because what a look-up finds until the store has ended it is cached as well.
        self.forget((fingerprint(session_id),))
        return is_ended

    def forget(self, ended: Collection[bytes]) -> None:
        """Drop these sessions from the cache, by their fingerprints: they are over."""
        self._endings += 1
        for session_fingerprint in ended:
            session_id = self._ids.pop(session_fingerprint, None)
            if session_id is not None:
                self._cache.pop(session_id, None)

    def forget_all(self) -> None:
        """Drop every session from the cache: some may be over."""
        self._endings += 1
        self._cache.clear()
        self._ids.clear()

    async def set_log_level(self, session_id: str, session: McpSession, level: str) -> None:
        """Keep the level from which on the client wants log messages."""
        await self.store.set_log_level(session.session_fingerprint, level)
        cached = self._cache.get(session_id)
        if cached is not None:
            # For no longer than before: this was no look-up.
            self._cache[session_id] = (replace(session, log_level=level), *cached[1:])

    def _remember(self, session_id: str, session: McpSession, now: int, principal: Principal | None) -> None:
        self._cache.pop(session_id, None)
        while len(self._cache) >= _MOST_CACHED:
            oldest, _, _ = self._cache.pop(next(iter(self._cache)))
            self._ids.pop(oldest.session_fingerprint, None)
        self._cache[session_id] = (session, now, principal)
        self._ids[session.session_fingerprint] = session_id


def app_of(principal: Principal | None) -> str:
    """Return which app calls; the empty string without authentication."""
    return "" if principal is None else principal.client_id


def owner_of(principal: Principal | None, resource: str) -> str:
    """Return whom a session is bound to: a person, whatever the app (record 0036); without tokens, everybody here."""
    who = [] if principal is None else [principal.issuer, principal.subject]
    return orjson.dumps([resource, *who]).decode()
