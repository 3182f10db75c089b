"""Access tokens that say themselves what they allow (RFC 9068)."""

from __future__ import annotations

from gatepost.oauth.records import Grant

TYP = "at+jwt"
"""The header's `typ` (RFC 9068 section 2.1): what is no access token does not pass for one."""


def access_token_claims(
    grant: Grant, *, issuer: str, scopes: tuple[str, ...], token_id: str, issued_at: int, expires_at: int
) -> dict[str, object]:
    """Return the claims of an access token (RFC 9068 section 2.2).

    `grant_id` is ours: what was allowed once, and is revoked as one.
    """
    return {
        "iss": issuer,
        "sub": grant.subject,
        "aud": grant.resource,
        "client_id": grant.client_id,
        "scope": " ".join(scopes),
        "jti": token_id,
        "iat": issued_at,
        "exp": expires_at,
        "grant_id": grant.grant_id,
    }
