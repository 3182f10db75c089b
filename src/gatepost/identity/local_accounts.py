"""Local accounts: username and password, kept in the server's own store."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request

from gatepost.identity.password_workers import password_workers
from gatepost.identity.passwords import hash_password, password_matches
from gatepost.identity.provider import IdentityProvider, LoginField
from gatepost.identity.usernames import UsernameRefused, canonical_username
from gatepost.stores.contract.users import LOCAL, User, UserStore
from gatepost.tokens.opaque import RandomBytes, identifier
from gatepost.wording.phrase import Phrase


def new_user(username: str, password: str, *, now: int, random_bytes: RandomBytes) -> User:
    """Return a new account's record, not yet kept. Slow; a server calls it in its `password_workers`.

    Raises:
        UsernameRefused: the username cannot be one.
        PasswordRefused: the password cannot be one. Both are ValueErrors whose message is for people.
    """
    canonical = canonical_username(username)
    subject = identifier("user_", random_bytes)
    password_hash = hash_password(password, username=canonical)
    return User(subject, LOCAL, subject, now, username=canonical, password_hash=password_hash)


class LocalAccounts(IdentityProvider):
    """The provider of local accounts."""

    name = LOCAL
    login_fields = (
        LoginField("username", Phrase("Username"), autocomplete="username"),
        LoginField("password", Phrase("Password"), secret=True, autocomplete="current-password"),
    )

    def __init__(self, *, users: UserStore) -> None:
        self._users = users
        self._has_accounts = False

    async def authenticate(self, request: Request, credentials: Mapping[str, str]) -> User | None:
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
        matches = await password_workers().run(lambda: password_matches(password_hash, password))
        if user is None or not matches or user.disabled_at is not None:
            return None
        return user

    async def awaits_setup(self) -> bool:
        """Say whether no account exists yet."""
        if not self._has_accounts:
            # Accounts are disabled, never deleted, so one look that finds any holds for good.
            self._has_accounts = any(user.issuer == LOCAL for user in await self._users.list_users())
        return not self._has_accounts
