"""Who a call is made for, and which application makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

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
