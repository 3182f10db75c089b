"""What concerns keys, in memory."""

from __future__ import annotations

from dataclasses import replace

from gatepost.stores.contract.keys import SealedSigningKey
from gatepost.stores.memory.records import Records


class MemoryKeyStore:
    """`KeyStore` in memory."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def sealing_key_id(self) -> str | None:
        """See `KeyStore.sealing_key_id`."""
        return self._records.sealing_key_id

    async def note_sealing_key(self, key_id: str, *, replaces: str | None) -> str:
        """See `KeyStore.note_sealing_key`."""
        noted = self._records.sealing_key_id
        if noted is not None and noted != replaces:
            return noted
        self._records.sealing_key_id = key_id
        return key_id

    async def signing_keys(self, *, now: int) -> list[SealedSigningKey]:
        """See `KeyStore.signing_keys`."""
        live = (key for key in self._records.signing_keys.values() if key.ends_at is None or key.ends_at > now)
        return sorted(live, key=lambda key: (key.signs_from, key.key_id))

    async def begin_signing(self, key: SealedSigningKey, *, now: int) -> bool:
        """See `KeyStore.begin_signing`."""
        if await self.signing_keys(now=now):
            return False
        self._records.signing_keys[key.key_id] = key
        return True

    async def rotate_signing_key(self, key: SealedSigningKey, *, others_end_at: int) -> None:
        """See `KeyStore.rotate_signing_key`."""
        for other in self._records.signing_keys.values():
            if other.ends_at is None:
                self._records.signing_keys[other.key_id] = replace(other, ends_at=others_end_at)
        self._records.signing_keys[key.key_id] = key

    async def retire_signing_key(self, key_id: str, *, now: int) -> bool:
        """See `KeyStore.retire_signing_key`."""
        key = self._records.signing_keys.get(key_id)
        if key is None or (key.ends_at is not None and key.ends_at <= now):
            return False
        self._records.signing_keys[key_id] = replace(key, ends_at=now)
        return True

    async def reseal_signing_key(self, key_id: str, sealed_secret: bytes) -> None:
        """See `KeyStore.reseal_signing_key`."""
        key = self._records.signing_keys.get(key_id)
        if key is not None:
            self._records.signing_keys[key_id] = replace(key, sealed_secret=sealed_secret)
