"""The one person whom the operator names in code, however that person is recognised."""

from __future__ import annotations

from typing import Final

from gatepost.identity.provider import Identity, IdentityProvider
from gatepost.stores.contract.users import User

OPERATOR: Final = "operator"
"""The issuer: so whoever was the single user is the same person when a password is put in front."""


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

    async def is_active(self, user: User) -> bool:
        """Say whether this is the one person, and not one who was called otherwise before a restart."""
        return user.external_subject == self._identity.subject
