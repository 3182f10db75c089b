"""Rotating a refresh token (RFC 6749 section 6, RFC 9700 section 4.14.2)."""

from __future__ import annotations

from typing import Final

from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.issuing import Tokens
from gatepost.oauth.refresh import (
    check_refresh,
    grant_revoked_error,
    open_successor,
    seal_successor,
    token_reused_error,
)
from gatepost.oauth.scopes import narrow_scopes
from gatepost.stores.contract.grants import RotateOutcome
from gatepost.tokens.opaque import fingerprint
from gatepost.web.oauth.grants.grant_type import GrantType, TokenIssuer, TokenRequest
from gatepost.web.site.patience import REFRESH_SECONDS


async def rotate(issuer: TokenIssuer, request: TokenRequest) -> Tokens:
    """Return the successor of a refresh token, with an access token; or the one that it got before."""
    # 1. Look the token and its grant up.
    grants = issuer.store.grants
    presented = request.required("refresh_token")
    token_fingerprint = fingerprint(presented)
    found = await grants.find_refresh(token_fingerprint)

    # 2. The rules decide; none of their refusals rotates.
    grant = check_refresh(
        None if found is None else found.token,
        None if found is None else found.grant,
        user_disabled=found is not None and found.user_disabled,
        client_id=request.client.client_id,
        resource=issuer.named_resource(request),
        now=request.now,
    )
    known = {scope for resource in issuer.resources for scope in resource.scopes}
    scopes = narrow_scopes(request.parameters.get("scope"), granted=grant.scopes, known=known)

    # 3. Spend the token and keep its successor, in one step that also says whether it was spent before.
    tokens, rows = await issuer.mint(grant, scopes=scopes, with_refresh_token=True, now=request.now)
    rotation = await grants.rotate_refresh_token(
        token_fingerprint,
        rows,
        seal_successor(tokens, predecessor=presented, random_bytes=issuer.random_bytes),
        now=request.now,
        window=issuer.lifetimes.refresh_window,
    )
    if rotation.outcome is RotateOutcome.ROTATED:
        issuer.note_issued(request, AuditEvent.REFRESH, grant)
        return tokens
    if rotation.outcome is RotateOutcome.REPEATED and rotation.sealed_successor is not None:
        # The answer that this token got before, with the scopes it was given then; `scope` says which.
        return open_successor(rotation.sealed_successor, predecessor=presented)
    if rotation.outcome is RotateOutcome.REUSED:
        reused = token_reused_error()
        await issuer.record_revocation(request, reused.reason, subject=grant.subject, grant_id=grant.grant_id)
        raise reused
    raise grant_revoked_error()


REFRESH_TOKEN: Final = GrantType(
    "refresh_token",
    rotate,
    is_registrable=True,
    parameters={"refresh_token": "refresh_token only"},
    patience=REFRESH_SECONDS,
)
