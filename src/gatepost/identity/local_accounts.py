"""Local accounts: username and password, kept in the server's own store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from starlette.requests import Request

from gatepost.identity.password_workers import password_workers
from gatepost.identity.passwords import hash_password, is_hash_of_today, password_matches, rehashed
from gatepost.identity.provider import IdentityProvider, LoginField, LoginStep
from gatepost.identity.second_steps import Passed, SecondSteps, secret_name
from gatepost.identity.usernames import UsernameRefused, canonical_username
from gatepost.stores.contract.users import LOCAL, User, UserStore
from gatepost.tokens.opaque import RandomBytes, identifier
from gatepost.wording.phrase import Phrase

CODE: Final = LoginField(
    "code",
    Phrase("Code"),
    autocomplete="one-time-code",
    inputmode="numeric",
    hint=Phrase("The six digits that your authenticator app shows, or one of your recovery codes."),
)

CODE_WRONG: Final = Phrase("That is no code that counts now, or it was used already. Wait for the next one.")


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

    def __init__(
        self,
        *,
        users: UserStore,
        second_steps: SecondSteps,
        on_recovery_code: Callable[[Request, User], Awaitable[None]] | None = None,
    ) -> None:
        """Make the provider.

        Args:
            users: the accounts.
            second_steps: what comes after the password, where a person has set it up.
            on_recovery_code: told of each recovery code that somebody logs in with.
        """
        self._users = users
        self._second_steps = second_steps
        self._on_recovery_code = on_recovery_code
        self._has_accounts = False

    async def authenticate(self, request: Request, credentials: Mapping[str, str]) -> User | LoginStep | None:
        """Return the account that username and password open, or ask for the code of its second step.

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
        user = await self._with_hash_of_today(user, password)
        return user if user.second_step is None else _step(user)

    async def _with_hash_of_today(self, user: User, password: str) -> User:
        """Keep a hash with today's parameters in place of one with others; the password is here only now."""
        old = user.password_hash
        if old is None or is_hash_of_today(old):
            return user
        newer = await password_workers().run(lambda: rehashed(password))
        is_kept = await self._users.rehash_password(user.subject, newer, replaces=old)
        return replace(user, password_hash=newer) if is_kept else user

    async def continue_login(
        self, request: Request, credentials: Mapping[str, str], data: Mapping[str, str]
    ) -> User | LoginStep | None:
        """Return the account whose code this is.

        None when the password was changed since it was typed, or the second step, or the account was disabled.
        """
        user = await self._users.find_user_by_subject(data["subject"])
        if user is None or user.disabled_at is not None or user.second_step is None:
            return None
        if secret_name(user) != data["secret"]:
            return None
        passed = await self._second_steps.try_code(user, credentials.get(CODE.name, ""))
        if passed is None:
            return _step(user, problem=CODE_WRONG)
        if passed is Passed.RECOVERY_CODE and self._on_recovery_code is not None:
            await self._on_recovery_code(request, user)
        return user

    async def awaits_setup(self) -> bool:
        """Say whether no account exists yet."""
        if not self._has_accounts:
            # Accounts are disabled, never deleted, so one look that finds any holds for good.
            self._has_accounts = any(user.issuer == LOCAL for user in await self._users.list_users())
        return not self._has_accounts


def _step(user: User, *, problem: Phrase | None = None) -> LoginStep:
    """Return the form of the second step, for somebody whose password was right."""
    secret = secret_name(user)
    data = {"subject": user.subject, "secret": secret}
    return LoginStep((CODE,), data, problem, heading=Phrase("Enter your code"), short_secret=secret)
