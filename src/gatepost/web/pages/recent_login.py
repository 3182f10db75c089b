"""What asks for a login that is not long ago: a browser that was left open gives nobody an account for good."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from gatepost.web.pages.browser_session import OpenSession
from gatepost.web.pages.pending_request import ACCOUNT, ADMIN

RECENT: Final = 10 * 60
"""Seconds after a login, or after it was confirmed."""
PASSKEYS: Final = f"{ACCOUNT}/passkeys"
CONFIRM: Final = f"{ACCOUNT}/confirm"
PLACES: Final = MappingProxyType({"passkeys": PASSKEYS, "admin": ADMIN})
"""Where somebody goes on who has confirmed who they are, by the name in the URL; there is no other way to say it."""


def is_recent(session: OpenSession, *, now: int) -> bool:
    """Say whether whoever is logged in has shown who they are in the last minutes.

    A time that is far ahead was kept before the clock was set back, and counts for nothing.
    """
    at = session.record.authenticated_at
    return at is not None and abs(now - at) < RECENT


def confirm_path(place: str) -> str:
    """Return the path of the page that asks again who it is, and leads to one of `PLACES`."""
    return f"{CONFIRM}?for={place}"
