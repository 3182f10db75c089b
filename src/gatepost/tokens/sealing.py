"""Sealing: authenticated encryption of what must be read back (AES-256-GCM; HKDF, RFC 5869).

A sealed value opens only with the key it was sealed with, for the purpose that key was derived for, and beside the
associated data it was sealed with. A row that is copied to another row's place does not open there.

The operator's keys are on a ring. The first one seals, every key of the ring opens. That is how a key is replaced
without an interruption: the new one joins the ring everywhere, then it moves to the front, and the old one leaves when
nothing is sealed under it any more. What a ring has sealed begins with the id of its key, so that a key that is missing
can be told from a value that was altered.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence

from gatepost.tokens.opaque import RandomBytes

_FORMAT = b"\x01"
"""First byte of every sealed value, so that a later format can be told apart. It is authenticated too."""

_KEY_BYTES = 32
_NO_SALT = bytes(_KEY_BYTES)
_NONCE_BYTES = 12  # NIST SP 800-38D section 5.2.1.1
_TAG_BYTES = 16
_KEY_ID_BYTES = 8
_SHAPE = re.compile(r"[A-Za-z0-9+/=_.~-]{43,}")  # 32 random bytes are 43 characters of base64url
_FEWEST_CHARACTERS = 10
"""Different ones. Random keys have more even in hexadecimal; what has fewer was typed by a person."""


class SealBroken(Exception):
    """A sealed value was altered, or belongs to another key, purpose or row. Says nothing about its contents."""


def derive_key(secret: bytes, *, purpose: str) -> bytes:
    """Return the 32-byte key for one purpose.

    Keys of different purposes tell nothing about each other or about `secret` (RFC 5869 section 3.2).

    Args:
        secret: at least 128 bits of randomness, in any encoding. A password is not enough.
        purpose: a fixed label of the code that seals, such as `refresh-successor`.
    """
    # Extract, without a salt, and the first block of expand, which is as long as the key (sections 2.2 and 2.3).
    extracted = hmac.digest(_NO_SALT, secret, "sha256")
    return hmac.digest(extracted, b"gatepost sealing: " + purpose.encode() + b"\x01", "sha256")


def seal(plaintext: bytes, *, key: bytes, associated_data: bytes, random_bytes: RandomBytes) -> bytes:
    """Return `plaintext` sealed: format byte, nonce, ciphertext with tag (29 bytes longer).

    Args:
        plaintext: what to seal.
        key: 32 bytes of `derive_key`. Nonces are random, so one key seals at most 2^32 values (NIST SP 800-38D, 8.3).
        associated_data: what the value belongs to, such as its row's key; needed again to open it, not contained.
        random_bytes: where the nonce comes from.
    """
    # Cold start: the first rotation needs this, the first answer does not.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - see above

    nonce = random_bytes(_NONCE_BYTES)
    return _FORMAT + nonce + AESGCM(key).encrypt(nonce, plaintext, _FORMAT + associated_data)


def unseal(sealed: bytes, *, key: bytes, associated_data: bytes) -> bytes:
    """Return what was sealed.

    Raises:
        SealBroken: it does not open with this key and this associated data.
    """
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - cold start, as above
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - cold start, as above

    if sealed[:1] != _FORMAT or len(sealed) < len(_FORMAT) + _NONCE_BYTES + _TAG_BYTES:
        raise SealBroken("not a sealed value of a format this version knows")
    nonce = sealed[1 : 1 + _NONCE_BYTES]
    try:
        return AESGCM(key).decrypt(nonce, sealed[1 + _NONCE_BYTES :], _FORMAT + associated_data)
    except InvalidTag:
        raise SealBroken("altered, or sealed with another key or for another place") from None


class KeyMissing(SealBroken):
    """A value is sealed under a key that is not on the ring, or is no sealed value at all."""


def is_key(text: str) -> bool:
    """Say whether `text` can be a key of a ring: at least 43 characters that look random."""
    return _SHAPE.fullmatch(text) is not None and len(set(text)) >= _FEWEST_CHARACTERS


def key_id(key: str) -> str:
    """Return the public name of a key: 16 hexadecimal digits. It tells nothing about the key."""
    return hashlib.sha256(b"gatepost key id: " + key.encode()).digest()[:_KEY_ID_BYTES].hex()


def sealed_under(sealed: bytes) -> str:
    """Return the public name of the key that a ring has sealed a value under."""
    return sealed[:_KEY_ID_BYTES].hex()


class KeyRing:
    """Seals under its first key, opens under all of them."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Put one or more keys on the ring, each `is_key`.

        Raises:
            ValueError: there is none, or one of them is no key.
        """
        if not keys or not all(map(is_key, keys)):
            raise ValueError("a key ring takes one or more keys of at least 43 random characters")
        self._keys = {key_id(key): key.encode() for key in keys}
        self._derived: dict[tuple[str, str], bytes] = {}

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The public names of the keys; that of the sealing one first."""
        return tuple(self._keys)

    def seal(self, plaintext: bytes, *, purpose: str, associated_data: bytes, random_bytes: RandomBytes) -> bytes:
        """Return `plaintext` sealed under the first key (37 bytes longer).

        Args:
            plaintext: what to seal.
            purpose: a fixed label of the code that seals, such as `request-state`; each has a key of its own.
            associated_data: what the value belongs to; needed again to open it, not contained.
            random_bytes: where the nonce comes from.
        """
        name = self.key_ids[0]
        key = self._derive(name, purpose)
        head = bytes.fromhex(name)
        return head + seal(plaintext, key=key, associated_data=associated_data, random_bytes=random_bytes)

    def open(self, sealed: bytes, *, purpose: str, associated_data: bytes) -> bytes:
        """Return what was sealed, for this purpose and beside this associated data.

        Raises:
            KeyMissing: its key is not on this ring.
            SealBroken: it was altered, or sealed for another purpose or place.
        """
        name = sealed_under(sealed)
        if name not in self._keys:
            raise KeyMissing("sealed under a key that is not on the ring")
        return unseal(sealed[_KEY_ID_BYTES:], key=self._derive(name, purpose), associated_data=associated_data)

    def secret(self, *, purpose: str) -> bytes:
        """Return 32 bytes that every holder of the first key works out alike, and nobody else (RFC 2104)."""
        return hmac.digest(self._keys[self.key_ids[0]], b"gatepost secret: " + purpose.encode(), "sha256")

    def is_current(self, sealed: bytes) -> bool:
        """Say whether a value is sealed under the first key, so that the others could leave as far as it goes."""
        return sealed_under(sealed) == self.key_ids[0]

    def _derive(self, name: str, purpose: str) -> bytes:
        key = self._derived.get((name, purpose))
        if key is None:
            key = self._derived[name, purpose] = derive_key(self._keys[name], purpose=purpose)
        return key
