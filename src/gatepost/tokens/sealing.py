"""Sealing: authenticated encryption of what must be read back (AES-256-GCM; HKDF, RFC 5869).

A sealed value opens only with the key it was sealed with, for the purpose that key was derived for, and beside the
associated data it was sealed with. A row that is copied to another row's place does not open there.
"""

from __future__ import annotations

from gatepost.tokens.opaque import RandomBytes

_FORMAT = b"\x01"
"""First byte of every sealed value, so that a later format can be told apart. It is authenticated too."""

_KEY_BYTES = 32
_NONCE_BYTES = 12  # NIST SP 800-38D section 5.2.1.1
_TAG_BYTES = 16


class SealBroken(Exception):
    """A sealed value was altered, or belongs to another key, purpose or row. Says nothing about its contents."""


def derive_key(secret: bytes, *, purpose: str) -> bytes:
    """Return the 32-byte key for one purpose.

    Keys of different purposes tell nothing about each other or about `secret` (RFC 5869 section 3.2).

    Args:
        secret: at least 128 bits of randomness, in any encoding. A password is not enough.
        purpose: a fixed label of the code that seals, such as `refresh-successor`.
    """
    # Cold start: the first rotation needs this, the first answer does not.
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415 - see above

    info = b"gatepost sealing: " + purpose.encode()
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(secret)


def seal(plaintext: bytes, *, key: bytes, associated_data: bytes, random_bytes: RandomBytes) -> bytes:
    """Return `plaintext` sealed: format byte, nonce, ciphertext with tag (29 bytes longer).

    Args:
        plaintext: what to seal.
        key: 32 bytes of `derive_key`. Nonces are random, so one key seals at most 2^32 values (NIST SP 800-38D, 8.3).
        associated_data: what the value belongs to, such as its row's key; needed again to open it, not contained.
        random_bytes: where the nonce comes from.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - cold start, as above

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
