"""What concerns keys, in SQL."""

from __future__ import annotations

from typing import Final

from gatepost.stores.contract.keys import SealedSigningKey
from gatepost.stores.sql.database import Database, Transaction

_LIVE: Final = """
    SELECT * FROM signing_keys WHERE ends_at IS NULL OR ends_at > $1 ORDER BY signs_from, key_id
"""

_INSERT: Final = """
    INSERT INTO signing_keys (key_id, algorithm, sealed_secret, created_at, signs_from, ends_at)
    VALUES ($1, $2, $3, $4, $5, $6)
"""


class SqlKeyStore:
    """`KeyStore` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sealing_key_id(self) -> str | None:
        """See `KeyStore.sealing_key_id`."""
        return await self._database.read(_noted)

    async def note_sealing_key(self, key_id: str, *, replaces: str | None) -> str:
        """See `KeyStore.note_sealing_key`."""

        async def operation(transaction: Transaction) -> str:
            noted = await _noted(transaction)
            if noted is not None and noted != replaces:
                return noted
            await transaction.run(
                "INSERT INTO sealing_key (slot, key_id) VALUES (1, $1) ON CONFLICT (slot) DO UPDATE SET key_id = $1",
                key_id,
            )
            return key_id

        return await self._database.write(operation)

    async def signing_keys(self, *, now: int) -> list[SealedSigningKey]:
        """See `KeyStore.signing_keys`."""

        async def operation(transaction: Transaction) -> list[SealedSigningKey]:
            return await _live(transaction, now=now)

        return await self._database.read(operation)

    async def begin_signing(self, key: SealedSigningKey, *, now: int) -> bool:
        """See `KeyStore.begin_signing`."""

        async def operation(transaction: Transaction) -> bool:
            if await _live(transaction, now=now):
                return False
            await _insert(transaction, key)
            return True

        return await self._database.write(operation)

    async def rotate_signing_key(self, key: SealedSigningKey, *, others_end_at: int) -> None:
        """See `KeyStore.rotate_signing_key`."""

        async def operation(transaction: Transaction) -> None:
            await transaction.run("UPDATE signing_keys SET ends_at = $1 WHERE ends_at IS NULL", others_end_at)
            await _insert(transaction, key)

        await self._database.write(operation)

    async def retire_signing_key(self, key_id: str, *, now: int) -> bool:
        """See `KeyStore.retire_signing_key`."""

        async def operation(transaction: Transaction) -> bool:
            changed = await transaction.run(
                "UPDATE signing_keys SET ends_at = $2 WHERE key_id = $1 AND (ends_at IS NULL OR ends_at > $2)",
                key_id,
                now,
            )
            return changed > 0

        return await self._database.write(operation)

    async def reseal_signing_key(self, key_id: str, sealed_secret: bytes) -> None:
        """See `KeyStore.reseal_signing_key`."""

        async def operation(transaction: Transaction) -> None:
            await transaction.run("UPDATE signing_keys SET sealed_secret = $2 WHERE key_id = $1", key_id, sealed_secret)

        await self._database.write(operation)


async def _live(transaction: Transaction, *, now: int) -> list[SealedSigningKey]:
    return [
        SealedSigningKey(
            key_id=row["key_id"],
            algorithm=row["algorithm"],
            sealed_secret=row["sealed_secret"],
            created_at=row["created_at"],
            signs_from=row["signs_from"],
            ends_at=row["ends_at"],
        )
        for row in await transaction.all(_LIVE, now)
    ]


async def _insert(transaction: Transaction, key: SealedSigningKey) -> None:
    await transaction.run(
        _INSERT, key.key_id, key.algorithm, key.sealed_secret, key.created_at, key.signs_from, key.ends_at
    )


async def _noted(transaction: Transaction) -> str | None:
    row = await transaction.one("SELECT key_id FROM sealing_key WHERE slot = 1")
    return None if row is None else row["key_id"]
