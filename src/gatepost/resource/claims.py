"""The claims of a signed access token, as its resource checks them (RFC 9068 section 4, RFC 8725)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatepost.resource.bearer import ANOTHER_RESOURCE, CLAIMS_INVALID, EXPIRED, TokenRefused

_TEXTS = ("iss", "sub", "aud", "client_id", "scope", "jti", "grant_id")
_TIMES = ("iat", "exp")


def check_claims(claims: Mapping[str, Any], *, issuer: str, resource: str, now: int) -> None:
    """Refuse an access token of ours that does not count at this resource now.

    All that this server puts into its tokens has to be there, each of the type it gives it. `aud` is one string:
    a token for several resources is never issued.

    Raises:
        TokenRefused: it does not count.
    """
    if not all(isinstance(claims.get(name), str) for name in _TEXTS):
        raise TokenRefused(CLAIMS_INVALID)
    if not all(type(claims.get(name)) is int for name in _TIMES):
        raise TokenRefused(CLAIMS_INVALID)
    # A token of the future was made by a clock that is not ours. All processes of one store agree to the second or so.
    if claims["iss"] != issuer or claims["iat"] > now + _CLOCKS_DIFFER or "nbf" in claims:
        raise TokenRefused(CLAIMS_INVALID)
    if claims["aud"] != resource:
        raise TokenRefused(ANOTHER_RESOURCE)
    if claims["exp"] <= now:
        raise TokenRefused(EXPIRED)


_CLOCKS_DIFFER = 60
"""Seconds by which the clocks of two replicas may differ."""
