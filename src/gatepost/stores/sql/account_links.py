"""Invitations and links that set a password, in SQL."""

from __future__ import annotations

from typing import Final

from gatepost.stores.contract.account_links import AccountLink, InvitationOutcome
from gatepost.stores.contract.users import User
from gatepost.stores.sql.database import Operations, Transaction, read, write
from gatepost.stores.sql.rows import delete_ended
from gatepost.stores.sql.tables import ACCOUNT_LINKS, USERS
from gatepost.stores.sql.users import insert_account, set_password

_FIND: Final = "SELECT * FROM account_links WHERE link_fingerprint = $1 AND expires_at > $2"
_END: Final = "DELETE FROM account_links WHERE link_fingerprint = $1"
_END_EARLIER: Final = "DELETE FROM account_links WHERE subject = $1 OR username = $2"
_BY_NAME: Final = "SELECT 1 FROM users WHERE username = $1"
_WITH_PASSWORD: Final = "SELECT * FROM users WHERE subject = $1 AND password_hash IS NOT NULL AND disabled_at IS NULL"
_DELETE_ENDED: Final = delete_ended("account_links", "link_fingerprint")


class SqlAccountLinkStore(Operations):
    """`AccountLinkStore` over a database."""

    @write
    async def offer_link(self, transaction: Transaction, link: AccountLink) -> bool:
        if not await _is_of_use(transaction, link):
            return False
        await transaction.run(_END_EARLIER, link.subject, link.username)
        await ACCOUNT_LINKS.insert(transaction, link)
        return True

    @read
    async def find_link(self, transaction: Transaction, link_fingerprint: bytes, *, now: int) -> AccountLink | None:
        return await _find(transaction, link_fingerprint, now)

    @write
    async def accept_invitation(
        self, transaction: Transaction, link_fingerprint: bytes, user: User, *, now: int
    ) -> InvitationOutcome:
        link = await _find(transaction, link_fingerprint, now)
        if link is None or link.subject is not None or link.username not in {None, user.username}:
            return InvitationOutcome.LINK_OVER
        if not await insert_account(transaction, user):
            return InvitationOutcome.USERNAME_TAKEN
        await transaction.run(_END, link_fingerprint)
        return InvitationOutcome.ACCEPTED

    @write
    async def reset_password(
        self, transaction: Transaction, link_fingerprint: bytes, password_hash: str, *, now: int
    ) -> str | None:
        link = await _find(transaction, link_fingerprint, now)
        if link is None or link.subject is None:
            return None
        # The link ends with it, like every other of the account.
        await set_password(transaction, link.subject, password_hash)
        return link.subject

    @write
    async def delete_links(self, transaction: Transaction, *, before: int, limit: int) -> int:
        return await transaction.run(_DELETE_ENDED, before, limit)


async def _find(transaction: Transaction, link_fingerprint: bytes, now: int) -> AccountLink | None:
    link = await ACCOUNT_LINKS.one(transaction, _FIND, link_fingerprint, now)
    return link if link is not None and await _is_of_use(transaction, link) else None


async def _is_of_use(transaction: Transaction, link: AccountLink) -> bool:
    if link.subject is not None:
        return await USERS.one(transaction, _WITH_PASSWORD, link.subject) is not None
    return link.username is None or await transaction.one(_BY_NAME, link.username) is None
