"""Rotating a refresh token (RFC 6749 section 6, RFC 9700 section 4.14.2)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from gatepost.identity.asking import LoginProviderFailed
from gatepost.identity.provider import LoginUnavailable
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.errors import TemporarilyUnavailable
from gatepost.oauth.issuing import Tokens
from gatepost.oauth.reasons import Reason
from gatepost.oauth.refresh import (
    check_refresh,
    grant_revoked_error,
    open_newest,
    open_successor,
    permitted_scopes,
    seal_successor,
    stale_tokens,
    token_reused_error,
    user_not_allowed_error,
)
from gatepost.oauth.scopes import narrow_scopes
from gatepost.resource.resources import implied_scopes_at
from gatepost.stores.contract.grants import RefreshView, RotateOutcome
from gatepost.stores.contract.users import Person
from gatepost.tokens.opaque import fingerprint
from gatepost.web.oauth.grants.grant_type import GrantType, TokenIssuer, TokenRequest
from gatepost.web.site.errors import ScrubbedTraceback
from gatepost.web.site.patience import REFRESH_SECONDS

_log = logging.getLogger("gatepost.oauth")


async def look_up(issuer: TokenIssuer, parameters: Mapping[str, str]) -> RefreshView | None:
    """Return the token and its grant, with what is registered of its client; None when the token is unknown."""
    presented = parameters.get("refresh_token")
    return None if presented is None else await issuer.store.grants.find_refresh(fingerprint(presented))


async def rotate(issuer: TokenIssuer, request: TokenRequest) -> Tokens:
    """Return the successor of a refresh token, with an access token; or what came of it when it was used before."""
    # 1. The token and its grant have been looked up.
    grants = issuer.store.grants
    presented, found = request.required("refresh_token"), request.found
    token_fingerprint = fingerprint(presented)

    # 2. The rules decide; none of their refusals rotates.
    grant = check_refresh(
        None if found is None else found.token,
        None if found is None else found.grant,
        user_disabled=found is not None and found.user_disabled,
        client_id=request.client.client_id,
        resource=issuer.named_resource(request),
        served={resource.identifier for resource in issuer.resources},
        now=request.now,
        dpop_jkt=request.dpop_jkt,
    )

    # 3. The person may still enter, and has roles, by what was said at the last login.
    person = None if found is None else found.person
    if person is not None and not await _may_go_on(issuer, person):
        refused = user_not_allowed_error()
        await grants.revoke_grant(grant.grant_id, reason=refused.reason.value, now=request.now)
        await issuer.record_revocation(request, refused.reason, subject=grant.subject, grant_id=grant.grant_id)
        raise refused
    known = {scope for resource in issuer.resources for scope in resource.scopes}
    scopes = narrow_scopes(request.parameters.get("scope"), granted=grant.scopes, known=known)
    permitted = issuer.roles.permit_to(grant.scopes, person, implied_scopes_at(issuer.resources, grant.resource))
    scopes = permitted_scopes(scopes, granted=grant.scopes, permitted=permitted)

    # 4. Spend the token and keep its successor, in one step that also says whether it was spent before.
    tokens, rows = await issuer.mint(request, grant, scopes=scopes, with_refresh_token=True)
    stale = stale_tokens(request.client, issuer.lifetimes)
    rotation = await grants.rotate_refresh_token(
        token_fingerprint,
        rows,
        seal_successor(tokens, predecessor=presented, random_bytes=issuer.random_bytes),
        now=request.now,
        window=issuer.lifetimes.refresh_window,
        stale=stale,
    )
    if rotation.outcome is RotateOutcome.ROTATED:
        issuer.note_issued(request, AuditEvent.REFRESH, grant)
        return tokens
    if rotation.outcome is RotateOutcome.REPEATED and rotation.sealed_successor is not None:
        # The answer that this token got before, with the scopes it was given then; `scope` says which.
        return open_successor(rotation.sealed_successor, predecessor=presented)
    if rotation.outcome is RotateOutcome.STALE:
        # An access token of its own, and the refresh token that the client's other processes have by now.
        issuer.note_issued(request, AuditEvent.REFRESH, grant, reason=Reason.REFRESH_TOKEN_STALE)
        expires_at = min(tokens.expires_at, request.now + stale.grant)
        newest = open_newest(rotation.chain, predecessor=presented)
        return replace(tokens, refresh_token=newest, expires_at=expires_at)
    if rotation.outcome is RotateOutcome.REUSED:
        reused = token_reused_error()
        await issuer.record_revocation(request, reused.reason, subject=grant.subject, grant_id=grant.grant_id)
        raise reused
    raise grant_revoked_error()


async def _may_go_on(issuer: TokenIssuer, person: Person) -> bool:
    """Say whether the rule of who may enter still names the person.

    Raises:
        TemporarilyUnavailable: the operator's function cannot say so now; nothing is lost.
    """
    try:
        return await issuer.entry.still_admits(person)
    except (LoginProviderFailed, LoginUnavailable) as failure:
        cause = failure.__cause__
        _log.error("who may enter cannot be judged: %s", failure, exc_info=cause and ScrubbedTraceback(cause))
        raise TemporarilyUnavailable(
            Reason.LOGIN_PROVIDER_FAILED, "Whether the user may still enter cannot be said now; try again."
        ) from None


REFRESH_TOKEN: Final = GrantType(
    "refresh_token",
    rotate,
    is_registrable=True,
    parameters={"refresh_token": "refresh_token only"},
    look_up=look_up,
    patience=REFRESH_SECONDS,
)
