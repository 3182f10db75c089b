"""Several logins on one page: those elsewhere by a link each, and beside them local accounts by the form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.requests import Request

from gatepost.identity.provider import Identity, IdentityProvider, LoginField, LoginStep, Surroundings
from gatepost.stores.contract.users import User


class SeveralLogins(IdentityProvider):
    """Lets people choose where they log in; who has accounts at two of them is two people here until they link them.

    Args:
        elsewhere: providers that ask elsewhere, in the order of the page; each has a name of its own.
        here: one whose form is on the page, if any.

    Raises:
        ValueError: two have the same name.
    """

    name = "several"

    def __init__(self, elsewhere: Sequence[IdentityProvider], here: IdentityProvider | None = None) -> None:
        self._elsewhere = tuple(elsewhere)
        self._here = here
        self._every = every = self._elsewhere if here is None else (*self._elsewhere, here)
        names = {self.name, *(provider.name for provider in every)}
        if len(names) != len(every) + 1 or len({provider.issuer for provider in every}) != len(every):
            raise ValueError("Each of several login providers has a name and an issuer of its own: give one name=.")

    @property
    def issuer(self) -> str:
        """That of the form."""
        return self.name if self._here is None else self._here.issuer

    @property
    def elsewhere(self) -> Sequence[IdentityProvider]:
        """Those that ask elsewhere."""
        return self._elsewhere

    @property
    def every(self) -> Sequence[IdentityProvider]:
        """Those that ask elsewhere, and the one of the form."""
        return self._every

    @property
    def login_fields(self) -> tuple[LoginField, ...]:
        """Those of the form."""
        return () if self._here is None else self._here.login_fields

    def connect(self, surroundings: Surroundings) -> None:
        """Connect each."""
        for provider in self._every:
            provider.connect(surroundings)

    async def authenticate(
        self, request: Request, credentials: Mapping[str, str]
    ) -> Identity | User | LoginStep | None:
        """Ask about what the form sent; nobody is known without asking."""
        return await self._here.authenticate(request, credentials) if self._here is not None and credentials else None

    async def continue_login(
        self, request: Request, credentials: Mapping[str, str], data: Mapping[str, str]
    ) -> Identity | User | LoginStep | None:
        """Go on with what the form began."""
        return None if self._here is None else await self._here.continue_login(request, credentials, data)
