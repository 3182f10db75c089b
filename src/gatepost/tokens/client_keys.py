"""Public keys of clients, and what clients have signed with them (RFC 7515, RFC 7517, RFC 7518, RFC 8037).

Keys of OpenID providers elsewhere and their ID tokens are no different, nor are those of issuers of access tokens.

Only asymmetric algorithms exist here, each tied to the one kind of key that it is for, so a public key can never serve
as a shared secret. Keys come from the client's registration or the provider's metadata alone: whatever key or address
an assertion brings along (`jwk`, `jku`, `x5c`, `x5u`) is not looked at.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from joserfc.jws import JWSRegistry

ALGORITHMS: Final = ("ES256", "ES384", "RS256", "PS256", "EdDSA", "Ed25519")
"""What `alg` may be. The last two are one algorithm, under its old and its own name (RFC 8037, RFC 9864)."""
ISSUER_ALGORITHMS: Final = (*ALGORITHMS, "RS384", "RS512", "PS384", "PS512", "ES512")
"""What issuers of tokens elsewhere may sign with as well."""
MAX_SIGNED: Final = 16 * 1024
"""Characters of one signed message; a client assertion has a thousand."""
MAX_KEYS: Final = 20
"""Keys of one set."""

_KEY_OF: Final = {
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "RS256": ("RSA", None),
    "PS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "PS384": ("RSA", None),
    "PS512": ("RSA", None),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
}
_SYNONYMS: Final = {"EdDSA": "Ed25519"}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1
_KEPT: Final = ("kty", "crv", "x", "y", "n", "e", "use", "key_ops", "alg", "kid")
"""What is looked at of a public key (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2)."""
_TYPES: Final = frozenset({None, "JWT", "jwt", "client-authentication+jwt"})
_RSA_BITS: Final = (2048, 8192)  # RFC 7518 section 3.3; more would let a client keep this server busy
_RSA_EXPONENT_BITS: Final = 32
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")

Key = Mapping[str, Any]
"""One JSON Web Key."""


class KeysInvalid(ValueError):
    """A set of keys cannot be used; the message is the end of a sentence that says why."""


class SignatureInvalid(Exception):
    """A signed message does not count."""


class SignatureWrong(SignatureInvalid):
    """None of the keys that fit has signed it."""


class KeyUnknown(SignatureInvalid):
    """No key fits. The client may have changed its keys since they were fetched."""


def read_keys(document: object, algorithms: Sequence[str] = ALGORITHMS) -> tuple[Key, ...]:
    """Return the keys of a JWK set that can check signatures, of each the members that are looked at.

    Keys for other algorithms, and other members, are passed over (RFC 7517 sections 4 and 5).

    Raises:
        KeysInvalid: it is no set, has too many keys, none that can be used, or private ones.
    """
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise KeysInvalid('is not a JWK set: an object with a list "keys" (RFC 7517 section 5)')
    if len(keys) > MAX_KEYS:
        raise KeysInvalid(f"has more than {MAX_KEYS} keys")
    if holds_private_keys(document):
        raise KeysInvalid("holds a private or symmetric key; whoever can read it can pose as the client")
    fitting = (key for key in keys if _algorithms_of(key, algorithms))
    usable = tuple({name: key[name] for name in _KEPT if name in key} for key in fitting)
    if not usable:
        raise KeysInvalid(f"has no key for {', '.join(algorithms)}; RSA keys need {_RSA_BITS[0]} bits or more")
    return usable


def read_public_key(text: str, algorithms: Sequence[str] = ALGORITHMS) -> tuple[Key, ...]:
    """Return the key of a PEM text with a public key or a certificate, or the keys of a JWK set or of one JWK.

    Raises:
        KeysInvalid: it is none of these, holds a private key, or none that can be used.
    """
    if not text.lstrip().startswith("-----BEGIN "):
        try:
            document = json.loads(text, object_pairs_hook=unique_members)
        except (ValueError, RecursionError):
            raise KeysInvalid("is neither PEM nor JSON") from None
        is_set = isinstance(document, dict) and "keys" in document
        return read_keys(document if is_set else {"keys": [document]}, algorithms)
    from joserfc.errors import JoseError  # noqa: PLC0415 - most keys are fetched
    from joserfc.jwk import ECKey, OKPKey, RSAKey  # noqa: PLC0415 - likewise

    if "PRIVATE KEY" in text:
        raise KeysInvalid("holds a private key; this server needs the public one alone")
    for kind in (RSAKey, ECKey, OKPKey):
        try:
            return read_keys({"keys": [kind.import_key(text).as_dict(private=False)]}, algorithms)
        except (JoseError, ValueError, TypeError, KeysInvalid):
            continue
    raise KeysInvalid(f"holds no public key for {', '.join(algorithms)}")


def holds_private_keys(document: object) -> bool:
    """Say whether a JWK set, as far as it is one, holds private or symmetric keys (RFC 7518 section 6)."""
    keys = document.get("keys") if isinstance(document, dict) else None
    return isinstance(keys, list) and any(isinstance(key, dict) and _PRIVATE & key.keys() for key in keys)


def unverified_claims(signed: str) -> dict[str, Any]:
    """Return the claims of a signed message of which nothing is known yet, to learn whose it says it is.

    Raises:
        SignatureInvalid: it has not the shape of one.
    """
    if len(signed) > MAX_SIGNED or _COMPACT.fullmatch(signed) is None:
        raise SignatureInvalid("not a signed JWT in compact form")
    return _json_object(signed.split(".")[1])


def unverified_header(signed: str) -> dict[str, Any]:
    """Return the header of a signed message of which nothing is known yet, to learn what it says it is for.

    Raises:
        SignatureInvalid: it has not the shape of one.
    """
    unverified_claims(signed)
    return _json_object(signed.split(".", maxsplit=1)[0])


def verified_claims(
    signed: str,
    keys: Sequence[Key],
    *,
    algorithms: Sequence[str] = ALGORITHMS,
    types: Collection[object] = _TYPES,
    unnamed_fit: bool = False,
) -> dict[str, Any]:
    """Return the claims of a JWT in compact form that one of these keys, of `read_keys`, has signed.

    `algorithms` and `types` are what `alg` and `typ` of its header may be; None stands for no `typ`. If `unnamed_fit`,
    a key without a `kid` is tried whatever `kid` the header has, which is a hint (RFC 7515 section 4.1.4).

    Raises:
        KeyUnknown: none of the keys fits its `alg` and `kid`.
        SignatureWrong: those that fit have not signed it.
        SignatureInvalid: it is malformed, or another kind of message.
    """
    claims = unverified_claims(signed)
    header = checked_header(signed, algorithms=algorithms, types=types)
    algorithm = header["alg"]
    key_id = header.get("kid")
    fitting = [key for key in keys if _fits(key, algorithm, None if unnamed_fit and "kid" not in key else key_id)]
    if not fitting:
        raise KeyUnknown("no key fits")
    if not any(_is_signed_by(signed, key, algorithm) for key in fitting):
        raise SignatureWrong("the signature is wrong")
    return claims


def checked_header(signed: str, *, algorithms: Sequence[str], types: Collection[object]) -> dict[str, Any]:
    """Return the header of a message in compact form; as for `verified_claims`, but nothing is verified.

    Raises:
        SignatureInvalid: the header is malformed, or of another kind of message.
    """
    header = _json_object(signed.split(".", maxsplit=1)[0])
    algorithm, kind = header.get("alg"), header.get("typ")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise SignatureInvalid("the algorithm is not taken")
    if "crit" in header or "b64" in header:
        raise SignatureInvalid("an extension is not understood")  # RFC 7515 section 4.1.11
    if not isinstance(kind, str | None) or kind not in types:
        raise SignatureInvalid("it was signed for another purpose")  # RFC 8725 section 3.11
    return header


def unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of a JSON object; an `object_pairs_hook`.

    Raises:
        ValueError: a name stands twice: readers disagree about which member counts (RFC 8259 section 4).
    """
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _fits(key: Key, algorithm: str, key_id: object) -> bool:
    return algorithm in _algorithms_of(key, (algorithm,)) and (key_id is None or key.get("kid") == key_id)


def _algorithms_of(key: Key, among: Sequence[str]) -> tuple[str, ...]:
    """Return for what of this a key is: its kind, `use`, `key_ops` and `alg` all count (RFC 7517 section 4)."""
    if key.get("use", "sig") != "sig" or "verify" not in _key_operations(key):
        return ()
    kind = (key.get("kty"), None if key.get("kty") == "RSA" else key.get("crv"))
    if kind[0] == "RSA" and not _is_strong_rsa(key):
        return ()
    stated = _own_name(key.get("alg"))
    return tuple(name for name in among if _KEY_OF[name] == kind and (stated is None or stated == _own_name(name)))


def _own_name(algorithm: object) -> object:
    return _SYNONYMS.get(algorithm, algorithm) if isinstance(algorithm, str) else algorithm


def _key_operations(key: Key) -> Sequence[object]:
    operations = key.get("key_ops", ["verify"])
    return operations if isinstance(operations, list) else ()


def _is_strong_rsa(key: Key) -> bool:
    modulus, exponent = _integer(key.get("n")), _integer(key.get("e"))
    smallest, largest = _RSA_BITS
    return smallest <= modulus.bit_length() <= largest and 1 < exponent.bit_length() <= _RSA_EXPONENT_BITS


def _integer(text: object) -> int:
    if not isinstance(text, str) or len(text) > MAX_SIGNED or _BASE64URL.fullmatch(text) is None:
        return 0
    try:
        return int.from_bytes(_decoded(text), "big")
    except binascii.Error:
        return 0


def _is_signed_by(signed: str, key: Key, algorithm: str) -> bool:
    from joserfc.errors import JoseError  # noqa: PLC0415 - most clients sign nothing
    from joserfc.jws import deserialize_compact  # noqa: PLC0415 - likewise

    # `use`, `alg` and `key_ops` have been looked at; what is left is the key itself.
    bare = tuple((name, key[name]) for name in ("kty", "crv", "x", "y", "n", "e") if name in key)
    if not all(isinstance(value, str) for _, value in bare):
        return False
    try:
        deserialize_compact(signed, _imported(bare), registry=_registry(algorithm))
    except (JoseError, ValueError, TypeError):
        return False
    return True


@functools.lru_cache(maxsize=64)
def _imported(members: tuple[tuple[str, str], ...]) -> Any:
    """Return a key as the library has it, which takes longer to make than a signature to check."""
    from joserfc.jwk import import_key  # noqa: PLC0415 - likewise

    return import_key(dict(members))


@functools.cache
def _registry(algorithm: str) -> JWSRegistry:
    from joserfc.jws import JWSRegistry  # noqa: PLC0415 - most clients sign nothing

    class OneAlgorithm(JWSRegistry):
        """Knows one algorithm, whatever the header says."""

        def get_alg(self, name: str) -> Any:
            del name
            return super().get_alg(_SYNONYMS.get(algorithm, algorithm))

    return OneAlgorithm(algorithms=ISSUER_ALGORITHMS, strict_check_header=False)


def _json_object(segment: str) -> dict[str, Any]:
    try:
        value = json.loads(_decoded(segment), object_pairs_hook=unique_members)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise SignatureInvalid("not a JSON object")
    return value


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
