"""JWTs that a shared secret vouches for (RFC 7518 section 3.2), where an operator has named both by hand.

Apart from `client_keys`: what is a public key there is never a secret here, whatever a header says.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Collection, Sequence
from typing import Any, Final

from gatepost.tokens.client_keys import SignatureWrong, checked_header, unverified_claims

SECRET_ALGORITHMS: Final = ("HS256", "HS384", "HS512")
"""What `alg` may be."""
_HASHES: Final = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def shortest_secret(algorithms: Sequence[str]) -> int:
    """Return how many bytes a secret for one of these needs: as many as the hash has (RFC 7518 section 3.2)."""
    return max(_HASHES[algorithm]().digest_size for algorithm in algorithms)


def claims_vouched_for(
    signed: str, secret: bytes, *, algorithms: Sequence[str], types: Collection[object]
) -> dict[str, Any]:
    """Return the claims of a JWT in compact form whose code was made with this secret.

    `algorithms` and `types` are what `alg` and `typ` of its header may be; None stands for no `typ`.

    Raises:
        SignatureWrong: the code is another.
        SignatureInvalid: it is malformed, or another kind of message.
    """
    claims = unverified_claims(signed)
    header = checked_header(signed, algorithms=algorithms, types=types)
    message, _, code = signed.rpartition(".")
    try:
        sent = base64.urlsafe_b64decode(code + "=" * (-len(code) % 4))
    except binascii.Error:
        raise SignatureWrong("the code is wrong") from None
    made = hmac.digest(secret, message.encode("ascii"), _HASHES[header["alg"]])
    if not hmac.compare_digest(sent, made):
        raise SignatureWrong("the code is wrong")
    return claims
