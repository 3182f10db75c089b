"""Grants that somebody else asserts: signed JWTs at the token endpoint (RFC 7523 sections 2.1 and 3, RFC 7521 5.2).

There are two: an identity provider says which person a client acts for (MCP's enterprise-managed authorization, by
draft-ietf-oauth-identity-assertion-authz-grant), and a platform says which workload it runs (MCP's workload identity
federation). Each is for this server alone, for a short time, and counts once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from gatepost.late_dataclass import dataclass
from gatepost.oauth.errors import InvalidGrant
from gatepost.oauth.reasons import Reason

JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLOCK_SKEW: Final = 60
"""Seconds by which the clock of an issuer may be wrong."""
LONGEST_ID_JAG: Final = 3600
"""Seconds between now and `exp` of an identity provider's assertion; those in use say five minutes."""
LONGEST_WORKLOAD: Final = 24 * 3600
"""Likewise of a platform's; Kubernetes gives tokens for an hour, and for up to a day where it is asked to."""
_LONGEST_JTI: Final = 512
_LONGEST_SUBJECT: Final = 255
"""Characters (OpenID Connect Core section 2)."""


@dataclass(frozen=True, slots=True)
class GrantAssertion:
    """An assertion whose claims fit this server, if it has not been used before."""

    issuer: str
    subject: str
    jti: str
    remembered_until: int
    """Seconds UTC; from then on it is over in any case."""
    claims: Mapping[str, Any]


def check_assertion(
    claims: Mapping[str, Any], *, issuer: str, audiences: Collection[str], now: int, longest: int
) -> GrantAssertion:
    """Return what an assertion of `issuer` says to this server, whoever signed it.

    `audiences` are what `aud` may be, of which it is exactly one, and `longest` is how many seconds away `exp` may be.

    Raises:
        InvalidGrant: it does not count. The description says which claim is wrong and repeats nothing.
    """
    if claims.get("iss") != issuer:
        raise invalid("iss of the assertion is not the issuer that was found for it.")
    audience = claims.get("aud")
    # An assertion for two could be used by the other one with us.
    only = audience[0] if isinstance(audience, list) and len(audience) == 1 else audience
    if not isinstance(only, str) or only not in audiences:
        raise InvalidGrant(
            Reason.GRANT_ASSERTION_AUDIENCE_WRONG,
            "aud of the assertion must be this authorization server, as its metadata calls it, alone.",
        )
    expires_at = _check_times(claims, now=now, longest=longest)
    subject, jti = claims.get("sub"), claims.get("jti")
    if not isinstance(subject, str) or not subject.isprintable() or not 0 < len(subject) <= _LONGEST_SUBJECT:
        raise invalid(f"The assertion needs a sub of 1 to {_LONGEST_SUBJECT} printable characters.")
    if not isinstance(jti, str) or not jti.isprintable() or not 0 < len(jti) <= _LONGEST_JTI:
        raise invalid(f"The assertion needs a jti of 1 to {_LONGEST_JTI} printable characters.")
    return GrantAssertion(issuer, subject, jti, expires_at + CLOCK_SKEW, claims)


def invalid(description: str) -> InvalidGrant:
    """Return the refusal of an assertion for what is wrong with it."""
    return InvalidGrant(Reason.GRANT_ASSERTION_INVALID, description)


def issuer_unknown() -> InvalidGrant:
    """Return the refusal of an assertion of somebody whom nobody here trusts for it."""
    return InvalidGrant(
        Reason.GRANT_ASSERTION_ISSUER_UNKNOWN, "The issuer of the assertion is none that this server trusts with it."
    )


def replayed() -> InvalidGrant:
    """Return the refusal of an assertion that was used before (RFC 7523 section 3, item 7)."""
    return InvalidGrant(
        Reason.GRANT_ASSERTION_REPLAYED, "This assertion was used before; get a new one for every request."
    )


def _check_times(claims: Mapping[str, Any], *, now: int, longest: int) -> int:
    """Return `exp`, in whole seconds."""
    expires_at, issued_at, not_before = (_seconds(claims, name) for name in ("exp", "iat", "nbf"))
    if expires_at is None or issued_at is None:
        raise invalid("The assertion needs exp and iat, in seconds UTC.")
    if expires_at + CLOCK_SKEW <= now:
        raise InvalidGrant(Reason.GRANT_ASSERTION_EXPIRED, "The assertion has expired.")
    if expires_at > now + longest + CLOCK_SKEW:
        raise invalid(f"exp of the assertion is more than {longest} seconds away.")
    if max(issued_at, not_before or 0) > now + CLOCK_SKEW:
        raise invalid("iat or nbf of the assertion lies in the future.")
    return expires_at


def _seconds(claims: Mapping[str, Any], name: str) -> int | None:
    """Return a NumericDate (RFC 7519 section 2) as whole seconds, None when it is absent."""
    value = claims.get(name)
    if value is None:
        return None
    # A boolean is an int to Python, and a number of a thousand digits is one to JSON.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        raise invalid(f"{name} of the assertion must be seconds UTC.")
    return int(value)
