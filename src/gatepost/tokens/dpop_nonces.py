"""Nonces for DPoP proofs: the server's time, sealed, so that any process can say how old one is (RFC 9449 section 8).

One nonce serves many clients and many proofs; what is used once is the proof's `jti`. A nonce also says who remembers
these: the process that made it, for as long as it counts, or the store, for all processes. So a process that remembers
by itself need not ask the store, a proof counts once all the same, and what it remembers ends with its nonces.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from gatepost.late_dataclass import dataclass
from gatepost.tokens.opaque import RandomBytes, base64url
from gatepost.tokens.sealing import KeyRing, SealBroken

LIFETIME: Final = 300
"""Seconds for which a nonce counts."""
ANYBODYS: Final = bytes(8)
"""The keeper of a nonce whose proofs the store remembers."""
_PURPOSE: Final = "dpop-nonce"
_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]{20,200}")
_CLOCKS_DIFFER: Final = 60
"""Seconds by which the clocks of two replicas may differ."""


@dataclass(frozen=True, slots=True)
class NonceRead:
    """What a nonce says."""

    keeper: bytes
    """Who remembers the proofs that bear it, 8 bytes."""
    ends_at: int
    """Seconds UTC."""


@dataclass(frozen=True, slots=True)
class DpopNonces:
    """Makes and reads the nonces of one server: of an authorization server, or of a resource."""

    key_ring: KeyRing
    server: str
    """Its identifier. A nonce of another one does not count here (RFC 9449 section 9)."""
    random_bytes: RandomBytes

    def make(self, *, now: int, keeper: bytes = ANYBODYS) -> str:
        """Return a new nonce of this moment (seconds UTC)."""
        sealed = self.key_ring.seal(
            keeper + now.to_bytes(8),
            purpose=_PURPOSE,
            associated_data=self.server.encode(),
            random_bytes=self.random_bytes,
        )
        return base64url(sealed)

    def read(self, nonce: str, *, now: int) -> NonceRead | None:
        """Return what a nonce says; None where it is not of this server, or does not count any more."""
        if _SHAPE.fullmatch(nonce) is None:
            return None
        try:
            sealed = base64.urlsafe_b64decode(nonce + "=" * (-len(nonce) % 4))
            opened = self.key_ring.open(sealed, purpose=_PURPOSE, associated_data=self.server.encode())
        except (binascii.Error, SealBroken):
            return None
        keeper, made_at = opened[:8], int.from_bytes(opened[8:])
        if not made_at - _CLOCKS_DIFFER <= now < made_at + LIFETIME:
            return None
        return NonceRead(keeper, made_at + LIFETIME)
