"""What concerns keys, in memory."""

from __future__ import annotations

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
