"""Passkeys of local accounts, in SQL."""

from __future__ import annotations

from typing import Final

from gatepost.stores.contract.passkeys import MOST_PASSKEYS, Passkey, PasskeyAddition, PasskeyUse, PasskeyView
from gatepost.stores.sql.database import Operations, Transaction, read, write
from gatepost.stores.sql.second_factors import forget_second_factors, has_passkey
from gatepost.stores.sql.tables import PASSKEYS, USERS

_FIND: Final = "SELECT * FROM passkeys WHERE credential_id = $1"
_USER: Final = "SELECT * FROM users WHERE subject = $1"
_LIST: Final = "SELECT * FROM passkeys WHERE subject = $1 ORDER BY created_at, credential_id"
# A count that went on, or one of an authenticator that does not count and never has.
_USE: Final = """
    UPDATE passkeys SET sign_count = $2, last_used_at = CASE
        WHEN last_used_at IS NULL OR last_used_at < $3 THEN $3 ELSE last_used_at END
    WHERE credential_id = $1 AND (sign_count < $2 OR (sign_count = 0 AND $2 = 0))
"""
_ANOTHER: Final = "SELECT 1 FROM passkeys WHERE subject = $1 AND rp_id = $2 AND credential_id <> $3 LIMIT 1"
_HAS_SECOND_STEP: Final = "SELECT 1 FROM users WHERE subject = $1 AND second_step IS NOT NULL"
_RENAME: Final = "UPDATE passkeys SET name = $3 WHERE subject = $1 AND credential_id = $2"
_REMOVE: Final = "DELETE FROM passkeys WHERE subject = $1 AND credential_id = $2"


class SqlPasskeyStore(Operations):
    """`PasskeyStore` over a database."""

    @write
    async def add_passkey(
        self, transaction: Transaction, passkey: Passkey, *, most: int = MOST_PASSKEYS, is_first: bool = False
    ) -> PasskeyAddition:
        if await transaction.one(_FIND, passkey.credential_id) is not None:
            return PasskeyAddition.KNOWN
        if len(await transaction.all(_LIST, passkey.subject)) >= most:
            return PasskeyAddition.TOO_MANY
        subject, rp_id = passkey.subject, passkey.rp_id
        if is_first and (
            await transaction.one(_HAS_SECOND_STEP, subject) is not None
            or await has_passkey(transaction, subject, rp_id)
        ):
            return PasskeyAddition.NOT_FIRST
        await PASSKEYS.insert(transaction, passkey)
        return PasskeyAddition.ADDED

    @read
    async def find_passkey(self, transaction: Transaction, credential_id: bytes) -> PasskeyView | None:
        passkey = await PASSKEYS.one(transaction, _FIND, credential_id)
        user = None if passkey is None else await USERS.one(transaction, _USER, passkey.subject)
        return None if passkey is None or user is None else PasskeyView(passkey, user)

    @read
    async def list_passkeys(self, transaction: Transaction, subject: str) -> list[Passkey]:
        return await PASSKEYS.all(transaction, _LIST, subject)

    @write
    async def use_passkey(
        self, transaction: Transaction, credential_id: bytes, *, sign_count: int, now: int
    ) -> PasskeyUse:
        if await transaction.run(_USE, credential_id, sign_count, now):
            return PasskeyUse.ACCEPTED
        is_known = await transaction.one(_FIND, credential_id) is not None
        return PasskeyUse.COUNTER_BACK if is_known else PasskeyUse.UNKNOWN

    @write
    async def rename_passkey(self, transaction: Transaction, subject: str, credential_id: bytes, name: str) -> bool:
        return await transaction.run(_RENAME, subject, credential_id, name) > 0

    @write
    async def remove_passkey(
        self, transaction: Transaction, subject: str, credential_id: bytes, *, keeps_passkey_at: str | None = None
    ) -> bool:
        if (
            keeps_passkey_at is not None
            and await transaction.one(_HAS_SECOND_STEP, subject) is None
            and await transaction.one(_ANOTHER, subject, keeps_passkey_at, credential_id) is None
        ):
            return False
        if not await transaction.run(_REMOVE, subject, credential_id):
            return False
        await forget_second_factors(transaction, subject)
        return True
