"""One user and no login: for scripts, demos and a laptop of one's own.

Everybody who can reach the server is this user, so `app` refuses to combine it with a public URL.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request

from gatepost.identity.provider import Identity, IdentityProvider, LoginField


class SingleUserProvider(IdentityProvider):
    """Says of every browser that it is the one user's.

    Args:
        subject: what tokens and tools see.
        display_name: what pages show; the subject when it is None.
    """

    def __init__(self, subject: str = "owner", *, display_name: str | None = None) -> None:
        self._identity = Identity(subject=subject, display_name=display_name or subject)

    @property
    def login_fields(self) -> tuple[LoginField, ...]:
        """Nothing is asked."""
        return ()

    async def authenticate(self, request: Request, credentials: Mapping[str, str]) -> Identity | None:  # noqa: ARG002 - the protocol's
        """Return the one user."""
        return self._identity

    async def is_active(self, subject: str) -> bool:
        """Say whether this is the one user; a session of another provider's user is not."""
        return subject == self._identity.subject

    @property
    def can_switch_account(self) -> bool:
        """There is no other account."""
        return False
