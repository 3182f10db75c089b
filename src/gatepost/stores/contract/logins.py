"""Logins under way: what a login provider needs to know when the browser comes back."""

from __future__ import annotations

from dataclasses import field
from typing import Protocol

from gatepost.late_dataclass import dataclass
from gatepost.oauth.limits import MOST_BEGUN


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """A login that waits for the browser, under the fingerprint of the one-use `state` that the browser carries."""

    state_fingerprint: bytes
    browser_id: str
    """The browser that began it; nobody else's can go on."""
    place: str
    """Where it goes on: a provider, or the form of a further step."""
    sealed_data: bytes = field(repr=False)
    """Sealed under the `state` itself, so that a stolen database opens nothing."""
    expires_at: int


class LoginStore(Protocol):
    """Logins under way."""

    async def begin_login(self, login: PendingLogin, *, most: int = MOST_BEGUN) -> None:
        """Keep it; its state is fresh and random. The oldest goes that is not of the `most` newest.

        Repeated: the key of the record is there already, which is an error of the backend, and nothing is written. It
        is made for one call; who does not know what came of that makes another record.
        """

    async def take_login(
        self, state_fingerprint: bytes, *, browser_id: str, place: str, now: int
    ) -> PendingLogin | None:
        """Return the login and forget it: of parallel callers one gets it.

        None, and nothing is forgotten, when it is over, or another browser's, or goes on elsewhere.

        Repeated: None, so the login is lost, and the person begins another.
        """

    async def delete_logins(self, *, before: int, limit: int) -> int:
        """Delete logins that ended."""
