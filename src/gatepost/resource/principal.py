"""Who calls: the outcome of a verified bearer token (RFC 6750 section 1.2)."""

from __future__ import annotations

from dataclasses import field
from typing import Final

from gatepost.late_dataclass import dataclass

API_KEY_SUBJECT: Final = "api-key"
"""Subject and client of callers that use the operator's static API key."""

COMMAND_LINE_CLIENT: Final = "gatepost-cli"
"""The client of the tokens that the operator makes; it is not registered, so nobody else can use it."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The verified caller of one request. Times are whole seconds UTC."""

    subject: str
    """The user's stable identifier, or the client's own when no user stands behind it."""
    client_id: str
    scopes: frozenset[str]
    resource: str
    issuer: str
    grant_id: str | None
    expires_at: int | None
    display_name: str | None = None
    """A name to show to people; None when the token carries none. Never a key."""
    client_name: str | None = None
    user_issuer: str | None = None
    """Who vouches for the person; None when no person stands behind the token."""
    profile: str | None = field(default=None, repr=False)
    """What that issuer says of the person: the text of a `Profile`, read when a tool asks for it."""
    roles: frozenset[str] = frozenset()
    """The roles that the person has."""
    actors: tuple[str, ...] = ()
    """The subjects of those who act for `subject`, the current one first (RFC 8693 section 4.1); none as a rule."""

    def has(self, scopes: frozenset[str]) -> bool:
        """Say whether every one of `scopes` was granted."""
        return scopes <= self.scopes
