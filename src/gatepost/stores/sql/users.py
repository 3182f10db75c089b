"""People and the set-up link, in SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from gatepost.oauth.reasons import Reason
from gatepost.resource.profile import NO_PROFILE, Profile
from gatepost.stores.contract.linked_logins import LinkedLogin, LoginKey
from gatepost.stores.contract.users import LOCAL, User
from gatepost.stores.contract.wakeups import ACCESS_TAKEN
from gatepost.stores.sql.consents import FORGET_CONSENTS_OF_SUBJECT
from gatepost.stores.sql.database import Operations, Transaction, read, write
from gatepost.stores.sql.device_authorizations import FORGET_APPROVED_DEVICES
from gatepost.stores.sql.grants import FORGET_UNREDEEMED_CODES
from gatepost.stores.sql.linked_logins import find_person, rename_login
from gatepost.stores.sql.tables import USERS

# Any key may be taken: the username by an earlier account, issuer and external subject by somebody who logged in at the
# same moment, the subject by somebody else's.
_INSERT: Final = f"{USERS.insertion} ON CONFLICT DO NOTHING"

_BY_SUBJECT: Final = "SELECT * FROM users WHERE subject = $1"
_CLIENT: Final = "SELECT 1 FROM clients WHERE client_id = $1"
_REFRESH: Final = """
    UPDATE users SET display_name = COALESCE($2, display_name), profile = $3, profile_issuer = $4,
        profile_subject = $5
    WHERE subject = $1
"""
_FORGET_PROFILE: Final = """
    UPDATE users SET profile = NULL, profile_issuer = NULL, profile_subject = NULL
    WHERE subject = $1 AND profile_issuer IS NOT NULL
"""

_OFFERED_AT: Final = "SELECT created_at FROM setup_link"
_OFFER_LINK: Final = """
    INSERT INTO setup_link (slot, link_fingerprint, created_at) VALUES (1, $1, $2)
    ON CONFLICT (slot) DO UPDATE SET link_fingerprint = excluded.link_fingerprint, created_at = excluded.created_at
"""

_END_LINKS: Final = "DELETE FROM account_links WHERE subject = $1"
_REHASH: Final = "UPDATE users SET password_hash = $2 WHERE subject = $1 AND password_hash = $3"
_END_SESSIONS: Final = "DELETE FROM browser_sessions WHERE subject = $1"
_END_UPSTREAM_TOKENS: Final = "DELETE FROM upstream_tokens WHERE subject = $1"
_REVOKE_GRANTS: Final = """
    UPDATE grants SET revoked_at = $2, revoked_reason = $3 WHERE subject = $1 AND revoked_at IS NULL
"""
_REVOKE_API_KEYS: Final = "UPDATE api_keys SET revoked_at = $2 WHERE user_subject = $1 AND revoked_at IS NULL"


class SqlUserStore(Operations):
    """`UserStore` over a database."""

    @write
    async def offer_setup(
        self, transaction: Transaction, link_fingerprint: bytes, *, now: int, unless_since: int
    ) -> int | None:
        if await _any_user(transaction):
            return None
        offered = await transaction.one(_OFFERED_AT)
        # A link of the future was offered before the clock was set back.
        if offered is not None and unless_since <= offered["created_at"] <= now:
            return int(offered["created_at"])
        await transaction.run(_OFFER_LINK, link_fingerprint, now)
        return now

    @read
    async def setup_is_open(self, transaction: Transaction, link_fingerprint: bytes) -> bool:
        return await _setup_is_open(transaction, link_fingerprint)

    @write
    async def create_first_user(self, transaction: Transaction, link_fingerprint: bytes, user: User) -> bool:
        return await _setup_is_open(transaction, link_fingerprint) and await insert_account(transaction, user)

    @write
    async def add_user(self, transaction: Transaction, user: User) -> bool:
        return await insert_account(transaction, user)

    @read
    async def find_user(self, transaction: Transaction, username: str) -> User | None:
        return await _select_user(transaction, username)

    @read
    async def find_user_by_subject(self, transaction: Transaction, subject: str) -> User | None:
        return await USERS.one(transaction, _BY_SUBJECT, subject)

    async def find_user_by_login(self, issuer: str, external_subject: str) -> User | None:
        known, _link = await self._find_person(LoginKey(issuer, external_subject))
        return known

    async def recognise_user(
        self,
        issuer: str,
        external_subject: str,
        *,
        display_name: str | None,
        subjects: Sequence[str],
        now: int,
        profile: Profile = NO_PROFILE,
    ) -> User:
        # Nearly every login is of somebody who is known already, as the same; that needs no write.
        login, said = LoginKey(issuer, external_subject), profile.to_text()
        known, link = await self._find_person(login)
        if known is not None:
            name, said_by = (known.display_name, None) if link is None else (link.display_name, issuer)
            was_said = known.profile.to_text(), known.profile_issuer
            if display_name in {None, name} and (said, said_by) == was_said:
                return known
        new = [
            User(subject, issuer, external_subject, now, display_name=display_name, profile=profile)
            for subject in subjects
        ]
        return await self._recognise(new)

    @read
    async def _find_person(self, transaction: Transaction, login: LoginKey) -> tuple[User | None, LinkedLogin | None]:
        return await find_person(transaction, login)

    @write
    async def _recognise(self, transaction: Transaction, candidates: Sequence[User]) -> User:
        said = candidates[0]
        login = LoginKey(said.issuer, said.external_subject)
        known, link = await find_person(transaction, login)
        if known is None:
            return await _add_first(transaction, candidates)
        if link is None:
            name, said_by, said_of = said.display_name, None, None
        else:
            # The account is called as it was; what this login is called stands with the link.
            await rename_login(transaction, login, said.display_name)
            name, said_by, said_of = None, said.issuer, said.external_subject
        await transaction.run(_REFRESH, known.subject, name, said.profile.to_text(), said_by, said_of)
        # Roles follow from what is said. Only who is said to be another than before comes here.
        await transaction.notify(ACCESS_TAKEN)
        return replace(
            known,
            display_name=known.display_name if name is None else name,
            profile=said.profile,
            profile_issuer=said_by,
            profile_subject=said_of,
        )

    @write
    async def forget_profile(self, transaction: Transaction, subject: str) -> None:
        if await transaction.run(_FORGET_PROFILE, subject):
            await transaction.notify(ACCESS_TAKEN)

    @read
    async def list_users(self, transaction: Transaction) -> list[User]:
        # Sorted here, by code point, because databases sort text by their own collations.
        return sorted(await USERS.all(transaction, "SELECT * FROM users"), key=_place_in_list)

    @write
    async def disable_user(self, transaction: Transaction, subject: str, *, now: int) -> bool:
        if await transaction.one(_BY_SUBJECT, subject) is None:
            return False
        await disable_user(transaction, subject, now=now)
        return True

    @write
    async def enable_user(self, transaction: Transaction, subject: str) -> bool:
        return await transaction.run("UPDATE users SET disabled_at = NULL WHERE subject = $1", subject) > 0

    @write
    async def give_role(self, transaction: Transaction, subject: str, role: str) -> bool:
        return await set_roles(transaction, subject, lambda roles: roles | {role})

    @write
    async def take_role(self, transaction: Transaction, subject: str, role: str) -> bool:
        return await set_roles(transaction, subject, lambda roles: roles - {role})

    @write
    async def rehash_password(
        self, transaction: Transaction, subject: str, password_hash: str, *, replaces: str
    ) -> bool:
        return await transaction.run(_REHASH, subject, password_hash, replaces) > 0

    @write
    async def change_password(
        self, transaction: Transaction, username: str, password_hash: str, *, of: User | None = None
    ) -> bool:
        user = await _select_user(transaction, username)
        if user is None:
            return False
        if of is not None and (of.password_hash, of.second_step) != (user.password_hash, user.second_step):
            return False
        await set_password(transaction, user.subject, password_hash)
        return True


async def disable_user(transaction: Transaction, subject: str, *, now: int) -> None:
    """Mark somebody as disabled, and end what gives them access."""
    await transaction.run("UPDATE users SET disabled_at = $2 WHERE subject = $1 AND disabled_at IS NULL", subject, now)
    await transaction.run(_END_SESSIONS, subject)
    await transaction.run(_END_LINKS, subject)
    await transaction.run(FORGET_CONSENTS_OF_SUBJECT, subject)
    await transaction.run(FORGET_UNREDEEMED_CODES, subject)
    await transaction.run(FORGET_APPROVED_DEVICES, subject)
    await transaction.run(_END_UPSTREAM_TOKENS, subject)
    await transaction.run(_REVOKE_GRANTS, subject, now, Reason.USER_DISABLED.value)
    await transaction.run(_REVOKE_API_KEYS, subject, now)
    await transaction.notify(ACCESS_TAKEN)


async def set_roles(transaction: Transaction, subject: str, change: Callable[[frozenset[str]], frozenset[str]]) -> bool:
    """Change the roles that somebody was given; False when there is no such person."""
    user = await USERS.one(transaction, _BY_SUBJECT, subject)
    if user is None:
        return False
    changed = " ".join(sorted(change(frozenset(user.roles))))
    await transaction.run("UPDATE users SET roles = $2 WHERE subject = $1", subject, changed)
    await transaction.notify(ACCESS_TAKEN)
    return True


async def set_password(transaction: Transaction, subject: str, password_hash: str) -> None:
    """Set an account's password; what opens it by the old one or by a link ends."""
    await transaction.run("UPDATE users SET password_hash = $2 WHERE subject = $1", subject, password_hash)
    await transaction.run(_END_SESSIONS, subject)
    await transaction.run(_END_LINKS, subject)


async def _add_first(transaction: Transaction, candidates: Sequence[User]) -> User:
    """Add a person by the first of these records whose subject nobody has."""
    for new in candidates:
        # A client that acts for itself is its own subject.
        if await transaction.one(_CLIENT, new.subject) is None and await transaction.run(_INSERT, *USERS.values(new)):
            return new
    raise RuntimeError("every subject is somebody else's; the last has to be random")


def _place_in_list(user: User) -> tuple[bool, str, str, str]:
    return user.username is None, user.username or user.issuer, user.name, user.subject


async def _any_user(transaction: Transaction) -> bool:
    return await transaction.one("SELECT 1 FROM users WHERE issuer = $1 LIMIT 1", LOCAL) is not None


async def _setup_is_open(transaction: Transaction, link_fingerprint: bytes) -> bool:
    if await _any_user(transaction):
        return False
    return await transaction.one("SELECT 1 FROM setup_link WHERE link_fingerprint = $1", link_fingerprint) is not None


async def insert_account(transaction: Transaction, user: User) -> bool:
    """Add a local account and void any set-up link; False when the username is taken."""
    if not await transaction.run(_INSERT, *USERS.values(user)):
        return False
    await transaction.run("DELETE FROM setup_link")
    return True


async def _select_user(transaction: Transaction, username: str) -> User | None:
    return await USERS.one(transaction, "SELECT * FROM users WHERE username = $1", username)
