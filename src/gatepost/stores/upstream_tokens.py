"""What is sealed of tokens of login providers, and how it is sealed anew when the first key of the ring is another one.

It opens in its own row alone: whose it is, at which provider, of which issuer and account is what it was sealed beside.
"""

from __future__ import annotations

import json
from dataclasses import field, replace
from typing import Final

from gatepost.late_dataclass import dataclass
from gatepost.stores.contract.upstream_tokens import KeptTokens, UpstreamTokenStore
from gatepost.tokens.opaque import RandomBytes
from gatepost.tokens.sealing import KeyRing

_PURPOSE: Final = "upstream-tokens"


@dataclass(frozen=True, slots=True)
class TokenPair:
    """The secrets."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)


def sealed(kept: KeptTokens, pair: TokenPair, ring: KeyRing, *, random_bytes: RandomBytes) -> KeptTokens:
    """Return the row with these tokens in it."""
    text = json.dumps([pair.access_token, pair.refresh_token]).encode()
    return replace(kept, sealed_tokens=_seal(kept, text, ring, random_bytes))


def open_tokens(kept: KeptTokens, ring: KeyRing) -> TokenPair:
    """Return the tokens of a row.

    Raises:
        SealBroken: they were altered, lay in another row, or their key is not on the ring.
    """
    access_token, refresh_token = json.loads(_opened(kept, ring))
    return TokenPair(access_token, refresh_token)


async def reseal_row(kept: KeptTokens, store: UpstreamTokenStore, ring: KeyRing, *, random_bytes: RandomBytes) -> bool:
    """Seal what a row holds under the ring's first key, and say whether it was sealed under another.

    Raises:
        SealBroken: as `open_tokens`; the row stays as it is, and its person is led to log in there again.
    """
    if ring.is_current(kept.sealed_tokens):
        return False
    text = _opened(kept, ring)
    await store.reseal_tokens(kept, _seal(kept, text, ring, random_bytes))
    return True


def _seal(kept: KeptTokens, text: bytes, ring: KeyRing, random_bytes: RandomBytes) -> bytes:
    return ring.seal(text, purpose=_PURPOSE, associated_data=_row(kept), random_bytes=random_bytes)


def _opened(kept: KeptTokens, ring: KeyRing) -> bytes:
    return ring.open(kept.sealed_tokens, purpose=_PURPOSE, associated_data=_row(kept))


def _row(kept: KeptTokens) -> bytes:
    return json.dumps([kept.subject, kept.provider, kept.issuer, kept.external_subject]).encode()
