"""API keys, in SQL."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from gatepost.stores.contract.api_keys import LAST_USE_SECONDS, ApiKey, KeyAddition, PresentedKey
from gatepost.stores.contract.users import Person
from gatepost.stores.contract.wakeups import ACCESS_TAKEN
from gatepost.stores.sql.database import Operations, Transaction, Value, look_up, read, write
from gatepost.stores.sql.tables import API_KEYS

_COUNTS: Final = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)"
_OF_NAME: Final = f"SELECT * FROM api_keys WHERE name = $1 AND {_COUNTS}"  # noqa: S608 - our own text
_OF_ID: Final = f"SELECT * FROM api_keys WHERE key_id = $1 AND {_COUNTS}"  # noqa: S608 - likewise
_MAY_HAVE_ONE: Final = "SELECT 1 FROM users WHERE subject = $1 AND disabled_at IS NULL"

# One statement, one snapshot, two look-ups by unique key.
_FIND: Final = """
    SELECT
        api_keys.*, users.issuer, users.external_subject, users.username, users.display_name AS person_name,
        users.profile, users.roles, users.profile_issuer, users.profile_subject, users.disabled_at,
        COALESCE(users.profile_issuer, users.issuer) AS user_issuer,
        COALESCE(users.display_name, users.username) AS display_name
    FROM api_keys LEFT JOIN users ON users.subject = api_keys.user_subject
    WHERE api_keys.key_fingerprint = $1
"""
_REVOKE: Final = "UPDATE api_keys SET revoked_at = $2 WHERE key_id = $1"
_IS_REVOKED: Final = "SELECT 1 FROM api_keys WHERE key_id = $1 AND revoked_at IS NOT NULL"
_NOTE_USE: Final = """
    UPDATE api_keys SET last_used_at = $2 WHERE key_id = $1 AND (last_used_at IS NULL OR last_used_at <= $3)
"""
_DELETE_ENDED: Final = """
    DELETE FROM api_keys WHERE key_id IN (
        SELECT key_id FROM api_keys WHERE expires_at <= $1 OR revoked_at <= $1 LIMIT $2
    )
"""


class SqlApiKeyStore(Operations):
    """`ApiKeyStore` over a database."""

    @write
    async def add_key(self, transaction: Transaction, key: ApiKey) -> KeyAddition:
        if await transaction.one(_OF_NAME, key.name, key.created_at) is not None:
            return KeyAddition.NAME_TAKEN
        if key.user_subject is not None and await transaction.one(_MAY_HAVE_ONE, key.user_subject) is None:
            return KeyAddition.NO_PERSON
        await API_KEYS.insert(transaction, key)
        return KeyAddition.ADDED

    @look_up
    async def find_key(self, transaction: Transaction, key_fingerprint: bytes) -> PresentedKey | None:
        row = await transaction.one(_FIND, key_fingerprint)
        if row is None:
            return None
        person = None
        if row["issuer"] is not None:
            known = row["issuer"], row["external_subject"], row["username"], row["person_name"], row["profile"]
            person = Person(*known, tuple(row["roles"].split()), row["profile_issuer"], row["profile_subject"])
        return PresentedKey(
            key=API_KEYS.record(row),
            person=person,
            user_disabled=row["disabled_at"] is not None,
            user_issuer=row["user_issuer"],
            display_name=row["display_name"],
        )

    @read
    async def list_keys(
        self,
        transaction: Transaction,
        *,
        live_at: int | None,
        limit: int,
        before: tuple[int, str] | None = None,
    ) -> list[ApiKey]:
        parameters: list[Value] = [limit]
        conditions: list[str] = []
        if live_at is not None:
            parameters.append(live_at)
            conditions.append(_COUNTS)
        if before is not None:
            parameters += before
            at, key_id = f"${len(parameters) - 1}", f"${len(parameters)}"
            conditions.append(f"created_at <= {at} AND (created_at < {at} OR key_id > {key_id})")
        where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
        query = f"SELECT * FROM api_keys {where}ORDER BY created_at DESC, key_id LIMIT $1"  # noqa: S608 - our own text
        return await API_KEYS.all(transaction, query, *parameters)

    @write
    async def revoke_key(self, transaction: Transaction, name: str, *, now: int) -> ApiKey | None:
        # The id first: a key may be called like the id of another one.
        key = await API_KEYS.one(transaction, _OF_ID, name, now) or await API_KEYS.one(transaction, _OF_NAME, name, now)
        if key is not None:
            await transaction.run(_REVOKE, key.key_id, now)
            await transaction.notify(ACCESS_TAKEN)
        return key

    @read
    async def list_revoked(self, transaction: Transaction, key_ids: Collection[str]) -> set[str]:
        return {each for each in key_ids if await transaction.one(_IS_REVOKED, each) is not None}

    @write
    async def note_use(self, transaction: Transaction, key_id: str, *, at: int) -> None:
        await transaction.run(_NOTE_USE, key_id, at, at - LAST_USE_SECONDS)

    @write
    async def delete_keys(self, transaction: Transaction, *, before: int, limit: int) -> int:
        return await transaction.run(_DELETE_ENDED, before, limit)
