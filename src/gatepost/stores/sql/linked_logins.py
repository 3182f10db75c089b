"""Further logins of a person, in SQL.

A login stands in one row: in that of a person who began with it, or in `linked_logins`. Each operation looks at both
tables in one transaction, which no other can write beside.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from gatepost.stores.contract.linked_logins import LinkedLogin, LinkOutcome, LoginKey, UnlinkOutcome
from gatepost.stores.contract.users import LOCAL, NOBODY, User
from gatepost.stores.contract.wakeups import ACCESS_TAKEN
from gatepost.stores.sql.database import Operations, Transaction, read, write
from gatepost.stores.sql.tables import LINKED_LOGINS, USERS

_BY_SUBJECT: Final = "SELECT * FROM users WHERE subject = $1"
_FIRST: Final = "SELECT * FROM users WHERE issuer = $1 AND external_subject = $2"
_LINKED: Final = "SELECT * FROM linked_logins WHERE issuer = $1 AND external_subject = $2"
_OF_PERSON: Final = "SELECT * FROM linked_logins WHERE subject = $1 ORDER BY linked_at, issuer, external_subject"
_RENAME: Final = """
    UPDATE linked_logins SET display_name = COALESCE($3, display_name) WHERE issuer = $1 AND external_subject = $2
"""
_UNLINK: Final = "DELETE FROM linked_logins WHERE issuer = $1 AND external_subject = $2"
_BEGIN_WITH: Final = """
    UPDATE users SET issuer = $2, external_subject = $3, display_name = COALESCE($4, display_name) WHERE subject = $1
"""
_SAID_BY: Final = "UPDATE users SET profile_issuer = $2, profile_subject = $3 WHERE subject = $1"
_FORGET_PROFILE: Final = """
    UPDATE users SET profile = NULL, profile_issuer = NULL, profile_subject = NULL WHERE subject = $1
"""
_END_SESSIONS: Final = """
    DELETE FROM browser_sessions WHERE subject = $1 AND issuer = $2 AND external_subject = $3
"""
_END_TOKENS: Final = """
    DELETE FROM upstream_tokens
    WHERE subject = $1 AND COALESCE(login_issuer, issuer) = $2 AND external_subject = $3
"""
# A session from before it was kept which login began it; then there was one.
_END_OLD_SESSIONS: Final = "DELETE FROM browser_sessions WHERE subject = $1 AND issuer IS NULL"


class SqlLinkedLoginStore(Operations):
    """`LinkedLoginStore` over a database."""

    @write
    async def link_login(self, transaction: Transaction, login: LinkedLogin) -> LinkOutcome:
        person = await USERS.one(transaction, _BY_SUBJECT, login.subject)
        if person is None or person.disabled_at is not None:
            return LinkOutcome.NO_PERSON
        leads_to, _ = await find_person(transaction, login.key)
        if leads_to is not None:
            if leads_to.subject != person.subject:
                return LinkOutcome.OF_ANOTHER
            await rename_login(transaction, login.key, login.display_name)
            return LinkOutcome.OWN
        others = await LINKED_LOGINS.all(transaction, _OF_PERSON, person.subject)
        if login.issuer in {person.issuer, *(other.issuer for other in others)}:
            return LinkOutcome.ONE_THERE
        await LINKED_LOGINS.insert(transaction, login)
        return LinkOutcome.LINKED

    @read
    async def list_logins(self, transaction: Transaction, subject: str) -> list[LinkedLogin]:
        return await _logins_of(transaction, await USERS.one(transaction, _BY_SUBJECT, subject))

    @write
    async def unlink_login(
        self,
        transaction: Transaction,
        subject: str,
        login: LoginKey,
        *,
        keeps: Collection[LoginKey],
        even_last: bool = False,
    ) -> UnlinkOutcome:
        person = await USERS.one(transaction, _BY_SUBJECT, subject)
        own = {one.key: one for one in await _logins_of(transaction, person)}
        if person is None or login not in own or login.issuer == LOCAL:
            return UnlinkOutcome.UNKNOWN
        left = next((own[key] for key in keeps if key in own and key != login), None)
        if left is None and even_last and len(own) == 1 and person.disabled_at is not None:
            left = LinkedLogin(NOBODY, subject, subject, linked_at=person.created_at)
        if left is None:
            return UnlinkOutcome.LAST
        said_by = person.profile_issuer or person.issuer
        if login == (person.issuer, person.external_subject):
            await transaction.run(_UNLINK, *left.key)
            await transaction.run(_BEGIN_WITH, subject, *left.key, left.display_name)
            is_said_by_left = said_by == left.issuer
            said_of = None if is_said_by_left else person.profile_subject
            await transaction.run(_SAID_BY, subject, None if is_said_by_left else said_by, said_of)
            await transaction.run(_END_OLD_SESSIONS, subject)
        else:
            await transaction.run(_UNLINK, *login)
        if said_by == login.issuer:
            await transaction.run(_FORGET_PROFILE, subject)
        await transaction.run(_END_SESSIONS, subject, *login)
        await transaction.run(_END_TOKENS, subject, *login)
        # Who may enter, and in which roles, is judged by the logins.
        await transaction.notify(ACCESS_TAKEN)
        return UnlinkOutcome.UNLINKED


async def find_person(transaction: Transaction, login: LoginKey) -> tuple[User | None, LinkedLogin | None]:
    """Return to whom a login leads, if to anybody; and the link, unless the person began with it."""
    person = await USERS.one(transaction, _FIRST, *login)
    if person is not None:
        return person, None
    link = await LINKED_LOGINS.one(transaction, _LINKED, *login)
    return (None if link is None else await USERS.one(transaction, _BY_SUBJECT, link.subject)), link


async def rename_login(transaction: Transaction, login: LoginKey, display_name: str | None) -> None:
    """Keep what the issuer of a linked login calls the person now; None keeps the earlier name."""
    await transaction.run(_RENAME, *login, display_name)


async def _logins_of(transaction: Transaction, person: User | None) -> list[LinkedLogin]:
    if person is None or person.issuer == NOBODY:
        return []
    first = LinkedLogin(
        person.issuer,
        person.external_subject,
        person.subject,
        person.created_at,
        person.username or person.display_name,
    )
    return [first, *await LINKED_LOGINS.all(transaction, _OF_PERSON, person.subject)]
