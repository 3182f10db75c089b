"""Signing of tokens and checking of signatures (RFC 7515, RFC 7518, RFC 8037, RFC 7638, RFC 8725).

Only what this server signs itself is checked here, so there is one header it can have: exactly `alg`, `kid` and `typ`.
The key is found by `kid` among ours and decides the algorithm; the header only has to agree. That leaves nothing for a
header to talk us into: no algorithm, no key, no address of one, no extension.

The primitives come from `cryptography` directly. A JOSE library would add a third of a second to the start, and what
it offers beyond these two algorithms is what must not be accepted.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from gatepost.late_dataclass import dataclass
from gatepost.tokens.client_keys import unique_members
from gatepost.tokens.opaque import RandomBytes, base64url

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ES256 = "ES256"
EDDSA = "EdDSA"
ALGORITHMS = (ES256, EDDSA)
"""What tokens can be signed with. `EdDSA` means Ed25519, under the name that verifiers know (RFC 8037)."""

_SECRET_BYTES = 32
_HALF = 32  # bytes of r and of s in an ES256 signature (RFC 7518 section 3.4)
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_LONGEST_HEADER = 256
_SEGMENTS = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")


class Problem(Enum):
    """Why a signed token is refused."""

    MALFORMED = auto()
    """Not three segments, not canonical base64url, not JSON objects, or another header than ours."""
    KEY_UNKNOWN = auto()
    """No key of ours has this `kid`."""
    SIGNATURE_WRONG = auto()
    """It was not signed by that key, or its header names another algorithm."""


class SignatureRefused(Exception):
    """A signed token is refused; quotes nothing of it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.name)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs."""

    key_id: str
    """The thumbprint of its public half (RFC 7638)."""
    algorithm: str
    secret: bytes = field(repr=False)
    """ES256: the private scalar; EdDSA: the seed (RFC 8032). 32 bytes each."""


def generate_signing_key(algorithm: str, random_bytes: RandomBytes) -> SigningKey:
    """Return a new key for one of `ALGORITHMS`. Its name begins with no hyphen, so that command lines take it."""
    while True:
        secret = random_bytes(_SECRET_BYTES)
        if algorithm == ES256 and not 0 < int.from_bytes(secret) < _P256_ORDER:  # FIPS 186-5 appendix A.2.2
            continue
        key = restore_signing_key(algorithm, secret)
        if not key.key_id.startswith("-"):
            return key


def restore_signing_key(algorithm: str, secret: bytes) -> SigningKey:
    """Return the key of a secret that was kept.

    Raises:
        ValueError: the algorithm is none of `ALGORITHMS`, or the secret does not fit it.
    """
    if algorithm not in ALGORITHMS or len(secret) != _SECRET_BYTES:
        raise ValueError("no secret of a signing key")
    members = _public_members(algorithm, secret)
    # RFC 7638 section 3: the required members, in the order of their names, without white space.
    canonical = json.dumps(dict(sorted(members.items())), separators=(",", ":")).encode()
    return SigningKey(base64url(hashlib.sha256(canonical).digest()), algorithm, secret)


def public_jwk(key: SigningKey) -> dict[str, str]:
    """Return the public half as a JWK (RFC 7517 section 4)."""
    return {**_public_members(key.algorithm, key.secret), "kid": key.key_id, "use": "sig", "alg": key.algorithm}


def sign(claims: Mapping[str, object], key: SigningKey, *, typ: str) -> str:
    """Return the claims as a signed token in compact form (RFC 7515 section 3.1)."""
    header = {"alg": key.algorithm, "kid": key.key_id, "typ": typ}
    signed = f"{_segment(header)}.{_segment(claims)}"
    return f"{signed}.{base64url(_signature(key, signed.encode()))}"


def looks_signed(token: str) -> bool:
    """Say whether `token` has the shape of a signed token; nothing is known about it then."""
    return _SEGMENTS.fullmatch(token) is not None


def named_key(token: str) -> str:
    """Return the `kid` that a token names; nothing of it is verified.

    Raises:
        SignatureRefused: it is no token with a header like ours.
    """
    return _header(token)["kid"]


def verify(token: str, keys: Mapping[str, SigningKey], *, typ: str) -> dict[str, Any]:
    """Return the claims of a token, of bounded length, that one of our keys (by `kid`) has signed.

    `typ` is what the header has to say that the token is (RFC 8725 section 3.11).

    Raises:
        SignatureRefused: it is anything else.
    """
    header = _header(token)
    if header["typ"] != typ:
        raise SignatureRefused(Problem.MALFORMED)
    key = keys.get(header["kid"])
    if key is None:
        raise SignatureRefused(Problem.KEY_UNKNOWN)
    signed, _, signature = token.rpartition(".")
    if header["alg"] != key.algorithm or not _is_signature(key, _bytes(signature), signed.encode()):
        raise SignatureRefused(Problem.SIGNATURE_WRONG)
    return _object(signed.partition(".")[2])


def _header(token: str) -> dict[str, str]:
    """Return the header, with exactly our members, all of them strings."""
    match = _SEGMENTS.fullmatch(token)
    if match is None or len(match[1]) > _LONGEST_HEADER:
        raise SignatureRefused(Problem.MALFORMED)
    header = _object(match[1])
    if set(header) != {"alg", "kid", "typ"} or not all(isinstance(value, str) for value in header.values()):
        raise SignatureRefused(Problem.MALFORMED)
    return header


def _segment(members: Mapping[str, object]) -> str:
    return base64url(json.dumps(members, separators=(",", ":")).encode())


def _bytes(segment: str) -> bytes:
    """Decode base64url strictly: there is one spelling of every value (RFC 4648 section 3.5)."""
    try:
        decoded = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except binascii.Error:
        raise SignatureRefused(Problem.MALFORMED) from None
    if base64url(decoded) != segment:
        raise SignatureRefused(Problem.MALFORMED)
    return decoded


def _object(segment: str) -> dict[str, Any]:
    try:
        value = json.loads(_bytes(segment), object_pairs_hook=unique_members)
    except (ValueError, RecursionError):
        raise SignatureRefused(Problem.MALFORMED) from None
    if not isinstance(value, dict):
        raise SignatureRefused(Problem.MALFORMED)
    return value


@functools.lru_cache(maxsize=32)
def _elliptic(secret: bytes) -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - cold start; only where tokens are signed

    return ec.derive_private_key(int.from_bytes(secret), ec.SECP256R1())


@functools.lru_cache(maxsize=32)
def _edwards(secret: bytes) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - likewise

    return Ed25519PrivateKey.from_private_bytes(secret)


def _public_members(algorithm: str, secret: bytes) -> dict[str, str]:
    """Return the required members of the public JWK (RFC 7518 section 6.2.1, RFC 8037 section 2)."""
    if algorithm == ES256:
        numbers = _elliptic(secret).public_key().public_numbers()
        x, y = (base64url(number.to_bytes(_HALF)) for number in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y}
    return {"kty": "OKP", "crv": "Ed25519", "x": base64url(_edwards(secret).public_key().public_bytes_raw())}


def _signature(key: SigningKey, signed: bytes) -> bytes:
    if key.algorithm == EDDSA:
        return _edwards(key.secret).sign(signed)
    from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: PLC0415 - likewise
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - likewise

    r, s = utils.decode_dss_signature(_elliptic(key.secret).sign(signed, ec.ECDSA(SHA256())))
    return r.to_bytes(_HALF) + s.to_bytes(_HALF)


def _is_signature(key: SigningKey, signature: bytes, signed: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - likewise
    from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: PLC0415 - likewise
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - likewise

    if len(signature) != 2 * _HALF:
        return False
    try:
        if key.algorithm == EDDSA:
            _edwards(key.secret).public_key().verify(signature, signed)
        else:
            r, s = int.from_bytes(signature[:_HALF]), int.from_bytes(signature[_HALF:])
            encoded = utils.encode_dss_signature(r, s)
            _elliptic(key.secret).public_key().verify(encoded, signed, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
