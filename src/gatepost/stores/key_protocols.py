"""The store's protocol for what concerns keys. What `stores/protocols.py` says of all operations holds here too."""

from __future__ import annotations

from typing import Protocol


class KeyStore(Protocol):
    """Which key of the operator's ring things are sealed under. The ring itself never comes near a store."""

    async def sealing_key_id(self) -> str | None:
        """Return the noted id of the key that seals, or None while nothing has been noted."""

    async def note_sealing_key(self, key_id: str, *, replaces: str | None) -> str:
        """Note the id of the key that seals from now on, if nothing or `replaces` is noted; return what is noted then.

        Of two processes that start with different rings on a new store, one learns that it has the wrong one.
        """
