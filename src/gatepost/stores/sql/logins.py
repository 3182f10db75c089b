"""Logins under way, in SQL."""

from __future__ import annotations

from typing import Final

from gatepost.oauth.limits import MOST_BEGUN
from gatepost.stores.contract.logins import PendingLogin
from gatepost.stores.sql.database import Operations, Transaction, write
from gatepost.stores.sql.rows import delete_ended
from gatepost.stores.sql.tables import PENDING_LOGINS

_FIND: Final = """
    SELECT * FROM pending_logins
    WHERE state_fingerprint = $1 AND browser_id = $2 AND place = $3 AND expires_at > $4
"""
_DELETE_ENDED: Final = delete_ended("pending_logins", "state_fingerprint")


class SqlLoginStore(Operations):
    """`LoginStore` over a database."""

    @write
    async def begin_login(self, transaction: Transaction, login: PendingLogin, *, most: int = MOST_BEGUN) -> None:
        await PENDING_LOGINS.insert_among_newest(transaction, login, most=most)

    @write
    async def take_login(
        self, transaction: Transaction, state_fingerprint: bytes, *, browser_id: str, place: str, now: int
    ) -> PendingLogin | None:
        login = await PENDING_LOGINS.one(transaction, _FIND, state_fingerprint, browser_id, place, now)
        if login is not None:
            await transaction.run("DELETE FROM pending_logins WHERE state_fingerprint = $1", state_fingerprint)
        return login

    @write
    async def delete_logins(self, transaction: Transaction, *, before: int, limit: int) -> int:
        return await transaction.run(_DELETE_ENDED, before, limit)
