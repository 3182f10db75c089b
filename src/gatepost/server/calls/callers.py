"""Who a call is made for, and which application makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gatepost.resource.principal import Principal

ANONYMOUS: Final = "anonymous"
"""The subject of a call that no authentication stands behind."""


@dataclass(frozen=True, slots=True)
class CallingUser:
    """The person a call is made for."""

    subject: str
    """Stable and unique: the key for whatever is kept per user. `"anonymous"` without authentication."""
    display_name: str | None
    """A name to show to people; never a key."""


@dataclass(frozen=True, slots=True)
class CallingClient:
    """The application that makes the call."""

    client_id: str | None
    """None without authentication."""
    name: str | None
    """As the client registered itself: a claim, not a proof."""


def user_of(principal: Principal | None) -> tuple[str, str] | None:
    """Return issuer and subject, by which what one user has open is counted; None without authentication."""
    return None if principal is None else (principal.issuer, principal.subject)
