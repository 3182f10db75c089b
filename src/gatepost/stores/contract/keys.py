"""Keys that sign access tokens, and which key seals."""

from __future__ import annotations

from dataclasses import field
from enum import Enum, auto
from typing import Protocol

from gatepost.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class SealedSigningKey:
    """A key that signs access tokens, sealed under the operator's ring. Times are whole seconds UTC."""

    key_id: str
    algorithm: str
    sealed_secret: bytes = field(repr=False)
    created_at: int
    signs_from: int
    """From then on it signs, unless one with a later time does. It is published before."""
    ends_at: int | None = None
    """From then on it counts as absent; None while it has no successor."""


class KeyRetirement(Enum):
    """The answer of `KeyStore.retire_signing_key`."""

    RETIRED = auto()
    UNKNOWN = auto()
    """There is no such key, or it has ended already."""
    ALONE = auto()
    """No other key would go on signing: one that has begun to, and has no end. Nothing was written."""


class KeyStore(Protocol):
    """Keys that sign, and which key of the operator's ring seals. The ring itself never comes near a store."""

    async def sealing_key_id(self) -> str | None:
        """Return the noted id of the key that seals, or None while nothing has been noted."""

    async def note_sealing_key(self, key_id: str, *, replaces: str | None) -> str:
        """Note the id of the key that seals from now on, if nothing or `replaces` is noted; return what is noted then.

        Of two processes that start with different rings on a new store, one learns that it has the wrong one.

        Repeated: the same answer.
        """

    async def signing_keys(self, *, now: int) -> list[SealedSigningKey]:
        """Return the keys that have not ended, in the order in which they sign.

        Of those that sign from the same second on, one that has no end comes last: it has replaced the others.
        """

    async def begin_signing(self, key: SealedSigningKey, *, now: int) -> bool:
        """Add the key if there is none that has not ended; False, and nothing is written, if there is one.

        Repeated: False, since this key is there; `signing_keys` says whether it is this one that signs.
        """

    async def rotate_signing_key(self, key: SealedSigningKey, *, others_end_at: int) -> None:
        """Add the key; the others that have no end yet end at `others_end_at`, in the same step.

        Repeated: the key of the record is there already, which is an error of the backend, and nothing is written. It
        is made for one call; who does not know what came of that makes another record.
        """

    async def retire_signing_key(self, key_id: str, *, now: int, even_last: bool = False) -> KeyRetirement:
        """End the key at once, if another one signs by now and has no end.

        So of two that are retired at once one stays. With `even_last` it ends in any case.

        Repeated: `UNKNOWN`.
        """

    async def reseal_signing_key(self, key_id: str, sealed_secret: bytes) -> None:
        """Keep a key's secret under another key of the ring; an unknown key is fine.

        Repeated: fine.
        """
