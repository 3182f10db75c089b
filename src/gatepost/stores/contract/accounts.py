"""Records of people and their browsers. Times are whole seconds UTC."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class User:
    """A local account."""

    subject: str
    """Random and stable; what tokens and tools see. Renaming an account does not change it."""
    username: str
    """Canonical form (see `gatepost.identity.usernames`); unique."""
    password_hash: str
    """An argon2id hash in PHC string form."""
    created_at: int
    disabled_at: int | None = None


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """One browser, logged in or not. The cookie's secret is kept only as `session_fingerprint`."""

    session_fingerprint: bytes
    browser_id: str
    """Survives the renewal of the session at login; transactions are bound to it. Not a secret, not a credential."""
    subject: str | None
    display_name: str | None
    authenticated_at: int | None
    created_at: int
    expires_at: int
