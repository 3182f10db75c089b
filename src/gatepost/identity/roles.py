"""Roles of people: those that a person was given here, and those whose rule names them. A role is a set of scopes.

As soon as one role says its scopes, nobody can be granted a scope that none of their roles has. What a person has
consented to stays as it is: a role that is taken away takes its scopes along, and one that comes back gives back what
was consented to, never more.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from gatepost.identity.provider import Identity
from gatepost.identity.rules import Rule, identity_of, read_rule
from gatepost.identity.single_user import OPERATOR
from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.users import Person, User

ADMIN: Final = "admin"
"""Whoever has it manages people, clients and grants on the admin pages."""
EVERY_SCOPE: Final = "*"
ROLE_TAKES: Final = "a lower-case letter, then letters, digits, - and _, 32 characters at most, such as admin"
_NONE_IMPLIED: Final[Mapping[str, frozenset[str]]] = MappingProxyType({})
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_log = logging.getLogger("gatepost.roles")


def is_role_name(text: str) -> bool:
    """Say whether a role can be called so."""
    return _NAME.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A named set of scopes, and who has it beside those to whom `gatepost users role` gave it."""

    scopes: str | Collection[str] | None = None
    """What can be granted to whoever has it; `*` is every scope. None says nothing about scopes."""
    users: str | Iterable[str] | Callable[[Identity], bool] = ()
    """Words of a rule, or a plain function, which has to be quick: it is asked wherever a token is checked."""


class Roles:
    """The roles that there are.

    Args:
        definitions: by name.

    Raises:
        ValueError: a name cannot be one, or words are none of a rule; the message is a sentence's part.
    """

    def __init__(self, definitions: Mapping[str, Role] | None = None) -> None:
        self._has: dict[str, Callable[[Identity], bool]] = {}
        self._scopes: dict[str, frozenset[str]] = {}
        organizations: frozenset[str] = frozenset()
        for name, role in (definitions or {}).items():
            if not is_role_name(name):
                raise ValueError(f"a role is called by {ROLE_TAKES}")
            if inspect.iscoroutinefunction(role.users):
                raise ValueError(f"users= of the role {name} has to be a plain function, which is not async")
            users = role.users if callable(role.users) else read_rule(role.users)
            if isinstance(users, Rule):
                organizations |= users.organizations
            if not isinstance(users, Rule) or users.words:
                self._has[name] = users.names if isinstance(users, Rule) else users
            if role.scopes is not None:
                words = role.scopes.split() if isinstance(role.scopes, str) else role.scopes
                self._scopes[name] = frozenset(words)
        self.organizations: Final = organizations
        """Those at GitHub that the words name."""
        self.names: Final = frozenset(definitions or ())
        self.asks: Final = any(callable(role.users) for role in (definitions or {}).values())
        """Whether a function of the operator's says who has one of them."""

    @property
    def scopes(self) -> frozenset[str] | None:
        """Every scope of every role; None where roles do not limit scopes."""
        return frozenset[str]().union(*self._scopes.values()) if self._scopes else None

    def of(self, person: User | Person) -> frozenset[str]:
        """Return the roles that a person has now."""
        if person.issuer == OPERATOR:
            # Whom the operator names in code, or by a password in the settings, is the operator.
            return self.names | {ADMIN}
        if not self._has:
            return frozenset(person.roles)
        identity = identity_of(person)
        return frozenset((*person.roles, *(name for name in self._has if self._names(name, identity))))

    def permit(
        self, scopes: tuple[str, ...], roles: Collection[str], implied: Mapping[str, frozenset[str]] = _NONE_IMPLIED
    ) -> tuple[str, ...]:
        """Return those of the scopes that can be granted to whoever has these roles, in their order.

        Whoever can be granted a scope can be granted what it opens as well (`implied`, of the resource that the scopes
        are of): the app that asks for less must not get nothing.
        """
        if not self._scopes:
            return scopes
        permitted = frozenset[str]().union(*(self._scopes.get(role, ()) for role in roles))
        if EVERY_SCOPE in permitted:
            return scopes
        opened = permitted.union(*(implied[scope] for scope in permitted if scope in implied))
        return tuple(scope for scope in scopes if scope in opened)

    def permit_to(
        self,
        scopes: tuple[str, ...],
        person: User | Person | None,
        implied: Mapping[str, frozenset[str]] = _NONE_IMPLIED,
    ) -> tuple[str, ...]:
        """Return those of the scopes that can be granted to a person; all where no person is behind them."""
        return scopes if person is None or not self._scopes else self.permit(scopes, self.of(person), implied)

    def _names(self, role: str, identity: Identity) -> bool:
        try:
            return self._has[role](identity) is True
        except Exception as error:  # noqa: BLE001 - the author's function may raise anything
            # Whose token is checked cannot mend it, and in doubt nobody has a role.
            _log.error("users= of the role %s raised %s; the person is without it", role, type(error).__name__)
            return False


NO_ROLES: Final = Roles()
"""Of an installation that defines none: people have those that they were given, and scopes are not limited."""
