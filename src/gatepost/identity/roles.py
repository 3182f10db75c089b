"""Roles of people: those that a person was given here, and those whose rules name them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gatepost.identity.single_user import OPERATOR
from gatepost.stores.contract.users import User

ADMIN: Final = "admin"
"""Whoever has it manages people, clients and grants on the admin pages."""
ROLE_TAKES: Final = "a lower-case letter, then letters, digits, - and _, 32 characters at most, such as admin"
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")


def is_role_name(text: str) -> bool:
    """Say whether a role can be called so."""
    return _NAME.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Roles:
    """The roles that there are."""

    def of(self, user: User) -> frozenset[str]:
        """Return the roles that a person has now."""
        # Whom the operator names in code, or by a password in the settings, is the operator.
        return frozenset((*user.roles, ADMIN) if user.issuer == OPERATOR else user.roles)
