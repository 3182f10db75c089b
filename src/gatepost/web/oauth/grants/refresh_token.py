"""Rotating a refresh token (RFC 6749 section 6, RFC 9700 section 4.14.2)."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

from gatepost.identity.asking import LoginProviderFailed
from gatepost.identity.provider import LoginUnavailable
from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.errors import TemporarilyUnavailable
from gatepost.oauth.issuing import SignAccessToken, Tokens
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Grant
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
from gatepost.stores.contract.grants import RefreshView, RotateOutcome, Rotation, Successor
from gatepost.stores.contract.users import Person
from gatepost.tokens.opaque import token_fingerprint
from gatepost.web.oauth.grants.grant_type import BegunRequest, GrantType, TokenIssuer, TokenRequest
from gatepost.web.site.errors import ScrubbedTraceback
from gatepost.web.site.patience import REFRESH_SECONDS

_log = logging.getLogger("gatepost.oauth")


@dataclass(frozen=True, slots=True)
class _Made:
    """What a refresh comes to, if it is the first use of its token."""

    request: TokenRequest
    grant: Grant
    tokens: Tokens
    successor: Successor


async def rotate_at_once(issuer: TokenIssuer, begun: BegunRequest) -> Tokens | RefreshView | None:
    """Rotate in the step that looks the token up; return what was found where more than that has to be looked at."""
    presented = begun.parameters.get("refresh_token")
    if presented is None:
        return None
    grants = issuer.store.grants
    if "dpop" in begun.request.headers:
        # Its proof has to be judged first. The token may be bound already, or be bound from now on.
        bound = await grants.find_refresh(token_fingerprint(presented, is_bound=True))
        return bound or await grants.find_refresh(token_fingerprint(presented, is_bound=False))
    sign = await issuer.sign_at(begun.now)
    made: list[_Made] = []

    def judge(found: RefreshView | None) -> Successor | None:
        request = None if found is None else begun.authenticated(found)
        if found is None or request is None:
            return None
        grant, person = _checked(issuer, request), found.person
        # The operator's functions are asked on the event loop's thread, and somebody who is shut out leaves a mark.
        if person is not None and (issuer.entry.asks or issuer.roles.asks or issuer.entry.shuts_out(person)):
            return None
        scopes = _scopes(issuer, request, grant, person)
        # Asked again, it has been counted.
        if not made and not issuer.admits_at_once(grant.client_id):
            return None
        made[:] = [_made(issuer, request, grant, scopes, sign)]
        return made[0].successor

    window = issuer.lifetimes.refresh_window
    found, rotation = await grants.refresh_at_once(
        token_fingerprint(presented, is_bound=False), judge, now=begun.now, window=window
    )
    if found is None:
        # Bound to a key, of which there is no proof: its client is told so.
        return await grants.find_refresh(token_fingerprint(presented, is_bound=True))
    if rotation is None:
        return found
    issuer.was_admitted(made[0].grant.client_id)
    return await _answer(issuer, made[0], rotation)


async def rotate(issuer: TokenIssuer, request: TokenRequest) -> Tokens:
    """Return the successor of a refresh token, with an access token; or what came of it when it was used before."""
    # 1. The token and its grant have been looked up. The rules decide; none of their refusals rotates.
    request.required("refresh_token")
    grant = _checked(issuer, request)
    found = request.found
    assert isinstance(found, RefreshView)  # noqa: S101 - what is unknown was refused; tells mypy

    # 2. The person may still enter, and has roles, by what was said at the last login.
    person = found.person
    if person is not None and not await _may_go_on(issuer, person):
        refused = user_not_allowed_error()
        await issuer.store.grants.revoke_grant(grant.grant_id, reason=refused.reason.value, now=request.now)
        await issuer.record_revocation(request, refused.reason, subject=grant.subject, grant_id=grant.grant_id)
        raise refused
    scopes = _scopes(issuer, request, grant, person)

    # 3. Spend the token and keep its successor, in one step that also says whether it was spent before.
    await issuer.admit(grant.client_id)
    made = _made(issuer, request, grant, scopes, await issuer.sign_at(request.now))
    rotation = await issuer.store.grants.rotate_refresh_token(
        found.token.token_fingerprint,
        made.successor.tokens,
        made.successor.sealed,
        now=request.now,
        window=issuer.lifetimes.refresh_window,
        stale=made.successor.stale,
    )
    return await _answer(issuer, made, rotation)


def _checked(issuer: TokenIssuer, request: TokenRequest) -> Grant:
    found = request.found if isinstance(request.found, RefreshView) else None
    return check_refresh(
        None if found is None else found.token,
        None if found is None else found.grant,
        user_disabled=found is not None and found.user_disabled,
        client_id=request.client.client_id,
        resource=issuer.named_resource(request),
        served=issuer.served,
        now=request.now,
        dpop_jkt=request.dpop_jkt,
    )


def _scopes(issuer: TokenIssuer, request: TokenRequest, grant: Grant, person: Person | None) -> tuple[str, ...]:
    requested = request.parameters.get("scope")
    scopes = narrow_scopes(requested, granted=grant.scopes, known=issuer.known_scopes)
    permitted = issuer.roles.permit_to(grant.scopes, person, implied_scopes_at(issuer.resources, grant.resource))
    return permitted_scopes(scopes, granted=grant.scopes, permitted=permitted)


def _made(
    issuer: TokenIssuer, request: TokenRequest, grant: Grant, scopes: tuple[str, ...], sign: SignAccessToken | None
) -> _Made:
    tokens, rows = issuer.minted(request, grant, scopes=scopes, with_refresh_token=True, sign=sign)
    presented = request.required("refresh_token")
    sealed = seal_successor(tokens, predecessor=presented, random_bytes=issuer.random_bytes)
    return _Made(request, grant, tokens, Successor(rows, sealed, stale_tokens(request.client, issuer.lifetimes)))


async def _answer(issuer: TokenIssuer, made: _Made, rotation: Rotation) -> Tokens:
    """Return the tokens that a rotation gave, or that were given before; raises InvalidGrant where none are."""
    request, grant, tokens = made.request, made.grant, made.tokens
    if rotation.outcome is RotateOutcome.ROTATED:
        issuer.note_issued(request, AuditEvent.REFRESH, grant)
        return tokens
    presented = request.required("refresh_token")
    if rotation.outcome is RotateOutcome.REPEATED and rotation.sealed_successor is not None:
        # The answer that this token got before, with the scopes it was given then; `scope` says which.
        return open_successor(rotation.sealed_successor, predecessor=presented)
    if rotation.outcome is RotateOutcome.STALE:
        # An access token of its own, and the refresh token that the client's other processes have by now.
        issuer.note_issued(request, AuditEvent.REFRESH, grant, reason=Reason.REFRESH_TOKEN_STALE)
        expires_at = min(tokens.expires_at, request.now + made.successor.stale.grant)
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
    begin=rotate_at_once,
    patience=REFRESH_SECONDS,
)
