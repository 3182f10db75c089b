"""DPoP proofs: what a client has signed with the key that its tokens are bound to (RFC 9449 sections 4.2 and 4.3).

The key comes with the proof, so a proof alone says nothing about who sends it. It counts beside a token or a code that
is bound to the same key, by the thumbprint of that (RFC 7638).
"""

from __future__ import annotations

import binascii
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from gatepost.late_dataclass import dataclass
from gatepost.tokens.client_keys import ALGORITHMS, KeysInvalid, read_keys, unique_members
from gatepost.tokens.opaque import base64url

SIGNING_ALGORITHMS: Final = ALGORITHMS
"""What `alg` of a proof may be: asymmetric ones only (RFC 9449 section 11.6)."""
PROOF_TYPE: Final = "dpop+jwt"
WINDOW: Final = 300
"""Seconds by which `iat` may differ from our clock, in both directions (MCP's DPoP profile)."""
LONGEST_PROOF: Final = 8 * 1024
"""Characters. One has five hundred with an elliptic key, two thousand with an RSA key of 4096 bits."""
_LONGEST_JTI: Final = 256
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_ESCAPED: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]")
_PORTS: Final = {"https": 443, "http": 80}
_TO_BASE64: Final = bytes.maketrans(b"-_", b"+/")
_COORDINATES: Final = {"ES256": 32, "ES384": 48}
"""Bytes of each of the two numbers of a point and of a signature (RFC 7518 sections 3.4 and 6.2.1.2)."""
_MEMBERS: Final = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}
"""What a thumbprint is made of, in this order (RFC 7638 section 3.2, RFC 8037 section 2)."""

Verify: TypeAlias = Callable[[bytes, bytes], None]
"""Takes a signature and what was signed, and raises `cryptography.exceptions.InvalidSignature`."""


class ProofInvalid(Exception):
    """A proof does not count; the message is a sentence for the client's developer, and quotes nothing."""


@dataclass(frozen=True, slots=True)
class ProofKey:
    """The key of a proof, ready to check signatures."""

    thumbprint: str
    """The SHA-256 thumbprint, as `jkt` says it (RFC 9449 section 6.1)."""
    verify: Verify = field(repr=False)


@dataclass(frozen=True, slots=True)
class DpopProof:
    """What a proof says, whose signature has been checked."""

    thumbprint: str
    jti: str
    method: str
    """`htm`."""
    url: str
    """`htu`, as it was sent."""
    issued_at: int
    """`iat`, seconds UTC."""
    token_hash: str | None
    """`ath`."""
    nonce: str | None


class ProofKeys:
    """Keys by the header of the proofs that bring them along, which a client sends the same each time.

    To make one takes as long as to check a signature. `most` of them are kept, the newest.
    """

    def __init__(self, most: int = 1024) -> None:
        self._most = most
        self._keys: dict[str, ProofKey] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def of(self, header: str) -> ProofKey:
        """Return the key that the first part of a proof brings along.

        Raises:
            ProofInvalid: it is no header of a proof, or its key is none that can be used.
        """
        known = self._keys.get(header)
        if known is None:
            known = _key_in(header)
            if len(self._keys) >= self._most:
                del self._keys[next(iter(self._keys))]
            self._keys[header] = known
        return known


def is_thumbprint(text: str) -> bool:
    """Say whether `text` can be the SHA-256 thumbprint of a key: 32 bytes as base64url."""
    return _THUMBPRINT.fullmatch(text) is not None


def read_proof(text: str, keys: ProofKeys) -> DpopProof:
    """Return what a proof says that is signed with the key that it brings along.

    Raises:
        ProofInvalid: it is no proof.
    """
    # 1. One JWT; several headers in one line would have a comma between them.
    parts = text.split(".") if len(text) <= LONGEST_PROOF and text.isascii() else ()
    if len(parts) != 3:  # noqa: PLR2004 - the parts of a JWS in compact form
        raise _not_compact()
    header, payload, signature = parts
    # 2. Header and key.
    key = keys.of(header)
    # 3. Signature.
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - cold start; most clients send no proof

    try:
        key.verify(_decoded(signature), f"{header}.{payload}".encode("ascii"))
    except InvalidSignature:
        raise ProofInvalid("The DPoP proof is not signed with the key of its jwk.") from None
    # 4. Claims.
    return _read(key.thumbprint, _json_object(payload))


def unverified_nonce(text: str) -> str | None:
    """Return the nonce that a proof says to bear, of which nothing else is looked at; None where it bears none.

    Raises:
        ProofInvalid: it has not the shape of a proof.
    """
    parts = text.split(".") if len(text) <= LONGEST_PROOF and text.isascii() else ()
    if len(parts) != 3:  # noqa: PLR2004 - the parts of a JWS in compact form
        raise _not_compact()
    nonce = _json_object(parts[1]).get("nonce")
    return nonce if isinstance(nonce, str) else None


def check_proof(proof: DpopProof, *, method: str, url: str, now: int) -> None:
    """Refuse a proof that was made for another request, or long ago (RFC 9449 section 4.3).

    `url` is where the request was sent, without query, as `normal_url` writes it.

    Raises:
        ProofInvalid: it was.
    """
    if proof.method != method:
        raise ProofInvalid("htm of the DPoP proof is not the method of this request.")
    if proof.url != url and normal_url(proof.url) != url:
        raise ProofInvalid("htu of the DPoP proof is not the URL of this request, without query and fragment.")
    if not now - WINDOW <= proof.issued_at <= now + WINDOW:
        raise ProofInvalid(f"iat of the DPoP proof is more than {WINDOW} seconds away from this server's clock.")


def token_hash(token_fingerprint: bytes) -> str:
    """Return what `ath` has to be for a token with this SHA-256 (RFC 9449 section 4.2)."""
    return base64url(token_fingerprint)


def normal_url(url: str) -> str | None:
    """Return one spelling of a URL without query and fragment, whatever it was written like; None where it is none.

    RFC 3986 sections 6.2.2 and 6.2.3, and by common use without a slash at the end.
    """
    if not url.isascii() or not url.isprintable() or " " in url or "?" in url or "#" in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = "" if port in (None, _PORTS[parts.scheme]) else f":{port}"
    path = _ESCAPED.sub(_unescaped, parts.path).removesuffix("/")
    return f"{parts.scheme}://{host}{shown}{path}"


def _not_compact() -> ProofInvalid:
    return ProofInvalid("The DPoP header takes one signed JWT in compact form.")


def _unescaped(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if _UNRESERVED.fullmatch(character) else match[0].upper()


def _read(thumbprint: str, claims: Mapping[str, Any]) -> DpopProof:
    jti, method, url, issued_at = (claims.get(name) for name in ("jti", "htm", "htu", "iat"))
    # Printable: half of a surrogate pair, which JSON can say, is nothing that could be hashed.
    if not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_JTI or not jti.isprintable():
        raise ProofInvalid(f"The DPoP proof needs a jti of 1 to {_LONGEST_JTI} printable characters.")
    if not isinstance(method, str) or not isinstance(url, str):
        raise ProofInvalid("The DPoP proof needs htm and htu, the method and the URL of the request.")
    # A boolean is an int to Python, and a number of a thousand digits is one to JSON.
    if isinstance(issued_at, bool) or not isinstance(issued_at, int | float) or not 0 <= issued_at < 2**53:
        raise ProofInvalid("The DPoP proof needs an iat, in seconds UTC.")
    hashed, nonce = claims.get("ath"), claims.get("nonce")
    if not isinstance(hashed, str | None) or not isinstance(nonce, str | None):
        raise ProofInvalid("ath and nonce of the DPoP proof are texts, where they are there.")
    return DpopProof(thumbprint, jti, method, url, int(issued_at), hashed, nonce)


def _key_in(header: str) -> ProofKey:
    members = _json_object(header)
    algorithm, key = members.get("alg"), members.get("jwk")
    if members.get("typ") != PROOF_TYPE:
        # What was signed for another purpose is no proof (RFC 9449 section 11.5).
        raise ProofInvalid(f"typ of the DPoP proof is not {PROOF_TYPE}.")
    if not isinstance(algorithm, str) or algorithm not in SIGNING_ALGORITHMS:
        raise ProofInvalid(f"alg of the DPoP proof is none of {', '.join(SIGNING_ALGORITHMS)}.")
    if "crit" in members or "b64" in members:
        raise ProofInvalid("The DPoP proof has an extension that is not understood (RFC 7515 section 4.1.11).")
    try:
        (public,) = read_keys({"keys": [key]}, (algorithm,))
    except KeysInvalid as error:
        raise ProofInvalid(f"jwk of the DPoP proof {error}.") from None
    return _proof_key(algorithm, public)


def _proof_key(algorithm: str, key: Mapping[str, Any]) -> ProofKey:
    """Return a key of `read_keys`, which fits the algorithm."""
    needed = {name: key.get(name) for name in _MEMBERS[key["kty"]]}
    if not all(isinstance(value, str) for value in needed.values()):
        raise ProofInvalid("jwk of the DPoP proof lacks a member.")
    # There is one spelling of every key, so that a key has one thumbprint.
    numbers = {name: _exactly(str(value)) for name, value in needed.items() if name not in ("kty", "crv")}
    try:
        verify = _MAKERS[key["kty"]](algorithm, numbers)
    except ValueError:
        raise ProofInvalid("jwk of the DPoP proof is no key of its kind.") from None
    text = json.dumps(needed, separators=(",", ":"))
    return ProofKey(base64url(hashlib.sha256(text.encode()).digest()), verify)


def _elliptic(algorithm: str, numbers: Mapping[str, bytes]) -> Verify:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - cold start; most clients send no proof
    from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: PLC0415 - likewise
    from cryptography.hazmat.primitives.hashes import SHA256, SHA384  # noqa: PLC0415 - likewise

    size = _COORDINATES[algorithm]
    if any(len(number) != size for number in numbers.values()):
        raise ValueError
    curve = ec.SECP256R1() if algorithm == "ES256" else ec.SECP384R1()
    x, y = int.from_bytes(numbers["x"]), int.from_bytes(numbers["y"])
    key = ec.EllipticCurvePublicNumbers(x, y, curve).public_key()
    scheme = ec.ECDSA(SHA256() if algorithm == "ES256" else SHA384())

    def verify(signature: bytes, signed: bytes) -> None:
        if len(signature) != 2 * size:
            raise InvalidSignature
        r, s = int.from_bytes(signature[:size]), int.from_bytes(signature[size:])
        key.verify(utils.encode_dss_signature(r, s), signed, scheme)

    return verify


def _rsa(algorithm: str, numbers: Mapping[str, bytes]) -> Verify:
    from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: PLC0415 - likewise
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - likewise

    if any(number[:1] == b"\0" for number in numbers.values()):  # RFC 7518 section 2, Base64urlUInt
        raise ValueError
    key = rsa.RSAPublicNumbers(int.from_bytes(numbers["e"]), int.from_bytes(numbers["n"])).public_key()
    digest = SHA256()
    is_pss = algorithm == "PS256"
    scheme = padding.PSS(padding.MGF1(digest), digest.digest_size) if is_pss else padding.PKCS1v15()

    def verify(signature: bytes, signed: bytes) -> None:
        key.verify(signature, signed, scheme, digest)

    return verify


def _edwards(_algorithm: str, numbers: Mapping[str, bytes]) -> Verify:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - likewise

    return Ed25519PublicKey.from_public_bytes(numbers["x"]).verify


_MAKERS: Final[Mapping[str, Callable[[str, Mapping[str, bytes]], Verify]]] = {
    "EC": _elliptic,
    "RSA": _rsa,
    "OKP": _edwards,
}


def _exactly(text: str) -> bytes:
    decoded = _decoded(text)
    if base64url(decoded) != text:
        raise ProofInvalid("jwk of the DPoP proof is not written as base64url without padding.")
    return decoded


def _json_object(segment: str) -> dict[str, Any]:
    try:
        value = json.loads(_decoded(segment), object_pairs_hook=unique_members)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ProofInvalid("The DPoP proof is not a signed JWT in compact form.")
    return value


def _decoded(segment: str) -> bytes:
    try:
        padded = segment.encode("ascii").translate(_TO_BASE64) + b"=" * (-len(segment) % 4)
        return binascii.a2b_base64(padded, strict_mode=True)
    except (ValueError, binascii.Error):
        raise ProofInvalid("The DPoP proof is not written as base64url.") from None
