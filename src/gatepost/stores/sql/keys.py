"""What concerns keys, in SQL."""

from __future__ import annotations

from gatepost.stores.sql.database import Database, Transaction


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


async def _noted(transaction: Transaction) -> str | None:
    row = await transaction.one("SELECT key_id FROM sealing_key WHERE slot = 1")
    return None if row is None else row["key_id"]
