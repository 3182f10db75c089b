"""One user and no login: for scripts, demos and a laptop of one's own.

Everybody who can reach the server is this user, so it is refused together with a public URL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request

from gatepost.identity.provider import Identity, IdentityProvider
from gatepost.stores.contract.users import NOBODY, User

OPERATOR: Final = "operator"
"""The issuer of people whom the operator names in code: the single user stays who they are when a password is asked."""


def may_vouch(provider: IdentityProvider, issuer: str) -> bool:
    """Say whether a provider's people can have this issuer: who has that of the operator is judged by nothing."""
    return issuer != NOBODY and (issuer != OPERATOR or isinstance(provider, OperatorNamedProvider))


class OperatorNamedProvider(IdentityProvider):
    """What providers of one person have in common.

    Args:
        subject: what tokens and tools see.
        display_name: what pages show; the subject when it is None.
    """

    issuer = OPERATOR
    keeps_subjects = True
    can_switch_account = False

    def __init__(self, subject: str = "owner", *, display_name: str | None = None) -> None:
        self._identity = Identity(subject, display_name or subject)

    @property
    def identity(self) -> Identity:
        """The one person."""
        return self._identity

    async def is_active(self, user: User) -> bool:
        """Say whether this is the one person, and not one who was called otherwise before a restart."""
        return user.external_subject == self._identity.subject


class SingleUserProvider(OperatorNamedProvider):
    """Says of every browser that it is the one user's."""

    name = "single-user"

    async def authenticate(self, request: Request, credentials: Mapping[str, str]) -> Identity:
        """Return the one user."""
        return self._identity
