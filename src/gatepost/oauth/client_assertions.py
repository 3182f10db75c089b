"""`private_key_jwt`: a client proves who it is with a signed assertion (RFC 7523 sections 2.2 and 3, OpenID Core 9)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from gatepost.late_dataclass import dataclass
from gatepost.oauth.errors import InvalidClient
from gatepost.oauth.reasons import Reason
from gatepost.tokens.client_keys import Key, KeyUnknown, SignatureInvalid, unverified_claims, verified_claims

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_LIFETIME: Final = 3600
"""Seconds between now and `exp`; libraries in use say one minute to one hour. So long its `jti` is remembered."""
CLOCK_SKEW: Final = 60
"""Seconds by which a client's clock may be wrong."""
_MAX_JTI: Final = 512


@dataclass(frozen=True, slots=True)
class Assertion:
    """An assertion that counts, if it has not been used before."""

    client_id: str
    jti: str
    remembered_until: int
    """Seconds UTC; from then on it is over in any case."""


def asserted_client(assertion: str) -> str:
    """Return the client that an assertion says it is from, before anything about it is known to be true.

    Raises:
        InvalidClient: it is not a JWT with a subject.
    """
    try:
        subject = unverified_claims(assertion).get("sub")
    except SignatureInvalid:
        subject = None
    if not isinstance(subject, str):
        raise _invalid("The client_assertion is not a signed JWT in compact form with a sub.")
    return subject


def check_assertion(
    assertion: str, *, client_id: str, keys: Sequence[Key], audiences: Collection[str], now: int
) -> Assertion:
    """Return what identifies an assertion that this client has signed for this server.

    Its `aud` may be one of `audiences`: the issuer identifier and the addresses of the endpoint.

    Raises:
        KeyUnknown: none of the keys fits; with newer ones it may be worth another look.
        InvalidClient: it does not count. The description says which claim is wrong and repeats nothing.
    """
    try:
        claims = verified_claims(assertion, keys)
    except KeyUnknown:
        raise
    except SignatureInvalid:
        raise _invalid(
            "The signature of the client_assertion cannot be verified with the client's registered keys and an "
            "algorithm of token_endpoint_auth_signing_alg_values_supported.",
        ) from None
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise _invalid("iss and sub of the client_assertion must be the client_id.")
    if not _is_for(claims, audiences):
        raise InvalidClient(
            Reason.CLIENT_ASSERTION_AUDIENCE_WRONG,
            "aud of the client_assertion must be this server's issuer identifier or its token endpoint, alone.",
        )
    expires_at = _check_times(claims, now=now)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI or "\0" in jti or not jti.isprintable():
        raise _invalid(f"The client_assertion needs a jti of 1 to {_MAX_JTI} characters.")
    return Assertion(client_id, jti, remembered_until=expires_at + CLOCK_SKEW)


def unknown_key() -> InvalidClient:
    """Return the refusal for an assertion that none of the client's keys fits, newest ones included."""
    return _invalid(
        "None of the client's registered keys fits the kid and alg of the client_assertion.",
    )


def replayed() -> InvalidClient:
    """Return the refusal for an assertion that was used before (RFC 7523 section 3, item 7)."""
    return InvalidClient(
        Reason.CLIENT_ASSERTION_REPLAYED, "This client_assertion was used before; sign a new one for every request."
    )


def _is_for(claims: Mapping[str, Any], audiences: Collection[str]) -> bool:
    """Say whether we are the audience, and nobody else: a second one could use the assertion with us."""
    audience = claims.get("aud")
    if isinstance(audience, list):
        return len(audience) > 0 and all(isinstance(one, str) and one in audiences for one in audience)
    return isinstance(audience, str) and audience in audiences


def _check_times(claims: Mapping[str, Any], *, now: int) -> int:
    """Return `exp`, in whole seconds."""
    expires_at, issued_at, not_before = (_seconds(claims, name) for name in ("exp", "iat", "nbf"))
    if expires_at is None:
        raise _invalid("The client_assertion needs an exp, in seconds UTC.")
    if expires_at + CLOCK_SKEW <= now:
        raise InvalidClient(Reason.CLIENT_ASSERTION_EXPIRED, "The client_assertion has expired.")
    if expires_at > now + MAX_LIFETIME + CLOCK_SKEW:
        raise _invalid(f"exp of the client_assertion is more than {MAX_LIFETIME} seconds away.")
    if not_before is not None and not_before > now + CLOCK_SKEW:
        raise _invalid("nbf of the client_assertion lies in the future.")
    if issued_at is not None and not now - MAX_LIFETIME - CLOCK_SKEW <= issued_at <= now + CLOCK_SKEW:
        raise _invalid("iat of the client_assertion lies in the future or too far in the past.")
    return expires_at


def _seconds(claims: Mapping[str, Any], name: str) -> int | None:
    """Return a NumericDate (RFC 7519 section 2) as whole seconds, None when it is absent."""
    value = claims.get(name)
    if value is None:
        return None
    # A boolean is an int to Python, and a number of a thousand digits is one to JSON.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        raise _invalid(f"{name} of the client_assertion must be seconds UTC.")
    return int(value)


def _invalid(description: str) -> InvalidClient:
    return InvalidClient(Reason.CLIENT_ASSERTION_INVALID, description)
