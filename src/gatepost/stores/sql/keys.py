"""What concerns keys, in SQL."""

from __future__ import annotations

from typing import Final

from gatepost.stores.contract.keys import KeyRetirement, SealedSigningKey
from gatepost.stores.contract.wakeups import ACCESS_TAKEN, Wakeup, WakeupKind
from gatepost.stores.sql.database import Operations, Transaction, read, write
from gatepost.stores.sql.tables import SIGNING_KEYS

_LIVE: Final = (
    "SELECT * FROM signing_keys WHERE ends_at IS NULL OR ends_at > $1 ORDER BY signs_from, ends_at IS NULL, key_id"
)
_END_OTHERS: Final = "UPDATE signing_keys SET ends_at = $1 WHERE ends_at IS NULL"
_RETIRE: Final = "UPDATE signing_keys SET ends_at = $2 WHERE key_id = $1"
_RESEAL: Final = "UPDATE signing_keys SET sealed_secret = $2 WHERE key_id = $1"

_NOTE_SEALING_KEY: Final = """
    INSERT INTO sealing_key (slot, key_id) VALUES (1, $1) ON CONFLICT (slot) DO UPDATE SET key_id = excluded.key_id
"""


class SqlKeyStore(Operations):
    """`KeyStore` over a database."""

    @read
    async def sealing_key_id(self, transaction: Transaction) -> str | None:
        return await noted_sealing_key(transaction)

    @write
    async def note_sealing_key(self, transaction: Transaction, key_id: str, *, replaces: str | None) -> str:
        noted = await noted_sealing_key(transaction)
        if noted is not None and noted != replaces:
            return noted
        await transaction.run(_NOTE_SEALING_KEY, key_id)
        return key_id

    @read
    async def signing_keys(self, transaction: Transaction, *, now: int) -> list[SealedSigningKey]:
        return await live_signing_keys(transaction, now=now)

    @write
    async def begin_signing(self, transaction: Transaction, key: SealedSigningKey, *, now: int) -> bool:
        if await live_signing_keys(transaction, now=now):
            return False
        await SIGNING_KEYS.insert(transaction, key)
        return True

    @write
    async def rotate_signing_key(self, transaction: Transaction, key: SealedSigningKey, *, others_end_at: int) -> None:
        await transaction.run(_END_OTHERS, others_end_at)
        await SIGNING_KEYS.insert(transaction, key)
        await transaction.notify(Wakeup(WakeupKind.SIGNING_KEYS))

    @write
    async def retire_signing_key(
        self, transaction: Transaction, key_id: str, *, now: int, even_last: bool = False
    ) -> KeyRetirement:
        keys = await live_signing_keys(transaction, now=now)
        if key_id not in {key.key_id for key in keys}:
            return KeyRetirement.UNKNOWN
        stay = [key for key in keys if key.key_id != key_id and key.signs_from <= now and key.ends_at is None]
        if not (stay or even_last):
            return KeyRetirement.ALONE
        await transaction.run(_RETIRE, key_id, now)
        await transaction.notify(Wakeup(WakeupKind.SIGNING_KEYS))
        await transaction.notify(ACCESS_TAKEN)
        return KeyRetirement.RETIRED

    @write
    async def reseal_signing_key(self, transaction: Transaction, key_id: str, sealed_secret: bytes) -> None:
        await transaction.run(_RESEAL, key_id, sealed_secret)


async def noted_sealing_key(transaction: Transaction) -> str | None:
    """Return the public name of the key that seals; None while nothing has been noted."""
    row = await transaction.one("SELECT key_id FROM sealing_key WHERE slot = 1")
    return None if row is None else row["key_id"]


async def live_signing_keys(transaction: Transaction, *, now: int) -> list[SealedSigningKey]:
    """Return the keys that have not ended, in the order in which they sign."""
    return await SIGNING_KEYS.all(transaction, _LIVE, now)
