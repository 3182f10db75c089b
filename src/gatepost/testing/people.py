"""The people of a server under test: accounts, or whoever logs in elsewhere, without a login."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import field, replace
from typing import Final

from gatepost.assembly.installation import Installation
from gatepost.identity.provider import IdentityProvider
from gatepost.identity.single_user import OperatorNamedProvider
from gatepost.identity.usernames import canonical_username
from gatepost.late_dataclass import dataclass
from gatepost.resource.profile import Profile
from gatepost.stores.contract.users import LOCAL, User
from gatepost.tokens.opaque import identifier

SOMEBODY: Final = "somebody"
"""The user where a test names none; with a provider of one person, that person."""


@dataclass(frozen=True, slots=True)
class NamedUser:
    """Somebody who has an account, or has logged in elsewhere."""

    name: str
    """What they type at the login, or what their login provider calls them."""
    subject: str
    """What tools see as `ctx.user.subject`."""
    password: str | None = field(default=None, repr=False)
    """Of an account that was given one here."""


class People:
    """Adds people and finds them again by name."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._known: dict[str, NamedUser] = {}

    async def add(
        self,
        name: str,
        *,
        password: str | None = None,
        roles: Sequence[str] = (),
        subject: str | None = None,
        profile: Profile | None = None,
        issuer: str | None = None,
    ) -> NamedUser:
        """Add a person; the arguments are those of `RunningServer.user`.

        Raises:
            ValueError: there is such a person already, name or password cannot be one, or the server has one user.
        """
        if name in self._known:
            raise ValueError(f"There is a user {name} already.")
        provider = self._provider
        if isinstance(provider, OperatorNamedProvider):
            only = provider.identity.subject
            if name not in {SOMEBODY, only}:
                raise ValueError(f"This server has one user, who is called {only}: leave user= out.")
            user = await self._recognise(provider.issuer, only, only, profile)
        elif issuer in {None, LOCAL} and any(each.issuer == LOCAL for each in provider.every):
            user = await self._account(name, password, subject or name, profile)
        else:
            if password is not None:
                raise ValueError("Whoever logs in elsewhere has no password here: leave password= out.")
            user = await self._recognise(issuer or provider.every[0].issuer, name, subject or name, profile)
        person = self._known[name] = NamedUser(name, user.subject, password)
        await self.give(person, roles)
        return person

    async def find(self, name: str, roles: Sequence[str] = ()) -> NamedUser:
        """Return the person of a name, with these roles at least; added where there is none."""
        person = self._known.get(name)
        if person is None:
            return await self.add(name, roles=roles)
        await self.give(person, roles)
        return person

    async def give(self, person: NamedUser, roles: Sequence[str]) -> None:
        """Give roles to a person."""
        for role in roles:
            await self._installation.core.store.users.give_role(person.subject, role)

    async def typed_by(self, person: NamedUser) -> dict[str, str]:
        """Return what a person types into the login of accounts; one without a password is given one."""
        if not any(each.issuer == LOCAL for each in self._provider.every):
            return {}
        if person.password is None:
            password = secrets.token_urlsafe(24)
            hashed = await _hash(password, person.name)
            await self._installation.core.store.users.change_password(canonical_username(person.name), hashed)
            person = self._known[person.name] = replace(person, password=password)
        return {"username": person.name, "password": str(person.password)}

    @property
    def _provider(self) -> IdentityProvider:
        oauth = self._installation.oauth
        if oauth is None:
            raise ValueError(
                "This server has no authorization server and so no users of its own: give the client token=, such as "
                "an API key or a token of the issuer whose tokens count here."
            )
        return oauth.provider

    async def _account(self, name: str, password: str | None, subject: str, profile: Profile | None) -> User:
        core = self._installation.core
        username = canonical_username(name)
        # Nobody can log in to an account without a hash, which takes a while to make.
        user = User(subject, LOCAL, subject, core.now(), username=username, profile=profile or Profile())
        if password is not None:
            user = replace(user, password_hash=await _hash(password, username))
        if not await core.store.users.add_user(user):
            raise ValueError(f"There is a user {name} already.")
        return user

    async def _recognise(self, issuer: str, name: str, subject: str, profile: Profile | None) -> User:
        core = self._installation.core
        return await core.store.users.recognise_user(
            issuer,
            name,
            display_name=name,
            subjects=(subject, identifier("user_", secrets.token_bytes)),
            now=core.now(),
            profile=profile or Profile(),
        )


async def _hash(password: str, username: str) -> str:
    from gatepost.identity.passwords import hash_password  # noqa: PLC0415 - argon2 only where it is used

    return await asyncio.to_thread(hash_password, password, username=username)
