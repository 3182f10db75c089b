"""Local accounts: username and password, kept in the server's own store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request

from gatepost.identity.passwords import hash_password, in_worker, password_matches
from gatepost.identity.provider import Identity, IdentityProvider, LoginField
from gatepost.identity.usernames import UsernameRefused, canonical_username
from gatepost.stores.contract.users import User, UserStore
from gatepost.tokens.opaque import RandomBytes, identifier

_FIELDS: Final = (
    LoginField("username", "Username", autocomplete="username"),
    LoginField("password", "Password", secret=True, autocomplete="current-password"),
)


def new_user(username: str, password: str, *, now: int, random_bytes: RandomBytes) -> User:
    """Return a new account's record, not yet kept. Slow; call it through `passwords.in_worker` on a server.

    Raises:
        UsernameRefused: the username cannot be one.
        PasswordRefused: the password cannot be one. Both are ValueErrors whose message is for people.
    """
    canonical = canonical_username(username)
    return User(
        subject=identifier("user_", random_bytes),
        username=canonical,
        password_hash=hash_password(password, username=canonical),
        created_at=now,
    )


class LocalAccounts(IdentityProvider):
    """The provider of local accounts.

    Args:
        users: where they are kept.
    """

    def __init__(self, *, users: UserStore) -> None:
        self._users = users
        self._has_accounts = False

    @property
    def login_fields(self) -> tuple[LoginField, ...]:
        """Username and password."""
        return _FIELDS

    async def authenticate(self, request: Request, credentials: Mapping[str, str]) -> Identity | None:  # noqa: ARG002 - the protocol's
        """Return the account that username and password open.

        Unknown username, wrong password and disabled account are one answer after one verification.
        """
        if not credentials:
            return None
        try:
            user = await self._users.find_user(canonical_username(credentials.get("username", "")))
        except UsernameRefused:
            user = None
        password = credentials.get("password", "")
        password_hash = None if user is None else user.password_hash
        matches = await in_worker(lambda: password_matches(password_hash, password))
        if user is None or not matches or user.disabled_at is not None:
            return None
        return Identity(subject=user.subject, display_name=user.username)

    async def is_active(self, subject: str) -> bool:
        """Say whether the account exists and is not disabled."""
        user = await self._users.find_user_by_subject(subject)
        return user is not None and user.disabled_at is None

    async def awaits_setup(self) -> bool:
        """Say whether no account exists yet."""
        if not self._has_accounts:
            # Accounts are disabled, never deleted, so one look that finds any holds for good.
            self._has_accounts = bool(await self._users.list_users())
        return not self._has_accounts
