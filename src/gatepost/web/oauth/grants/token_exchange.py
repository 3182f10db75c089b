"""A server that was sent a token gets one of its own for what stands behind it (RFC 8693)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gatepost.late_dataclass import dataclass
from gatepost.oauth.audit import AuditEvent
from gatepost.oauth.errors import InvalidRequest
from gatepost.oauth.issuing import Tokens
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Grant
from gatepost.oauth.token_exchange import (
    ACCESS_TOKEN_TYPE,
    JWT_TYPE,
    ExchangedToken,
    HeldToken,
    actor_invalid,
    actors_of,
    check_actor,
    check_may_exchange,
    check_subject,
    check_token_types,
    endpoint_name,
    exchanged_scopes,
    named_target,
    subject_invalid,
    target_not_allowed,
)
from gatepost.oauth.token_exchange import TOKEN_EXCHANGE as NAME
from gatepost.resource.bearer import TokenRefused, check_kind
from gatepost.resource.resources import ProtectedResource, find_resource, implied_scopes_at
from gatepost.stores.contract.grants import LiveAccessToken
from gatepost.tokens.opaque import token_fingerprint
from gatepost.tokens.signing import looks_signed
from gatepost.web.oauth.grants.grant_type import GrantType, TokenIssuer, TokenRequest


@dataclass(frozen=True, slots=True)
class _Sent:
    """A token that a request sends, and that counts now."""

    live: LiveAccessToken
    held: HeldToken
    fingerprint: bytes


async def exchange_token(issuer: TokenIssuer, request: TokenRequest) -> Tokens:
    """Return an access token for what stands behind the client, in the grant of the subject token."""
    # 1. Only clients that the operator lists, and only what there is here.
    client, parameters = request.client, request.parameters
    check_may_exchange(client)
    subject_token, actor_token = request.required("subject_token"), parameters.get("actor_token")
    check_token_types(
        request.required("subject_token_type"),
        parameters.get("actor_token_type"),
        parameters.get("requested_token_type"),
        has_actor=actor_token is not None,
    )

    # 2. What was sent counts now, and was sent to whom it is for.
    subject = await _sent(issuer, request, subject_token, parameters["subject_token_type"])
    if subject is None:
        raise subject_invalid()
    received = _named(issuer, client.exchange_from)
    is_received = find_resource(received, subject.held.resource) is not None
    check_subject(subject.held, client, is_received=is_received, dpop_jkt=request.dpop_jkt)
    actors = actors_of(subject.held, await _actor(issuer, request, actor_token))

    # 3. What the token is for: never more than what was sent, nor for longer.
    resource = _target(issuer, request)
    selected = exchanged_scopes(
        parameters.get("scope"), held=subject.held.scopes, known=resource.scopes, ceiling=client.scope
    )
    scopes = issuer.roles.permit_to(selected, subject.live.person, resource.implied_scopes)
    if selected and not scopes:
        raise InvalidRequest(Reason.ROLES_PERMIT_NOTHING, "The roles of this person permit none of these scopes.")
    tokens, token = await _mint(issuer, request, subject, resource=resource, scopes=scopes, actors=actors)

    # 4. Keep it, unless the subject token or the client ended a moment ago.
    is_kept = await issuer.store.exchanges.give_exchanged_token(
        token, subject_fingerprint=subject.fingerprint, now=request.now
    )
    if not is_kept:
        raise subject_invalid()
    issuer.audit.note(
        request.request,
        AuditEvent.TOKEN_EXCHANGE,
        subject=subject.held.subject,
        client_id=client.client_id,
        grant_id=token.grant_id,
        actor=actors[0],
    )
    return tokens


async def _sent(issuer: TokenIssuer, request: TokenRequest, token: str, token_type: str) -> _Sent | None:
    """Return what the store says of a token of ours that counts now, wherever; None of any other.

    Whatever a resource would refuse is refused here: an exchange must not bring back to life what has ended.
    """
    # 1. What cannot be one costs no look-up.
    is_signed = looks_signed(token)
    if token_type == JWT_TYPE and not is_signed:
        return None
    if not is_signed or issuer.check_signed is None:
        try:
            check_kind(token)
        except TokenRefused:
            return None

    # 2. It is there and counts, and so does whoever is behind it.
    kept_as = token_fingerprint(token, is_bound=False)
    live = await issuer.store.grants.find_access_token(kept_as, now=request.now)
    if live is None:
        kept_as = token_fingerprint(token, is_bound=True)
        live = await issuer.store.grants.find_access_token(kept_as, now=request.now)
    if live is None or live.grant_revoked or live.user_disabled or issuer.entry.shuts_out(live.person):
        return None
    if live.resource not in issuer.served:
        return None
    if is_signed and issuer.check_signed is not None:
        try:
            await issuer.check_signed(token, resource=live.resource, now=request.now)
        except TokenRefused:
            return None
    scopes = issuer.roles.permit_to(live.scopes, live.person, implied_scopes_at(issuer.resources, live.resource))
    held = HeldToken(live.subject, live.client_id, live.resource, scopes, live.dpop_jkt, live.actors)
    return _Sent(live, held, kept_as)


async def _actor(issuer: TokenIssuer, request: TokenRequest, actor_token: str | None) -> str:
    """Return the subject of who acts: of the actor token, and without one the client."""
    if actor_token is None:
        return request.client.client_id
    actor = await _sent(issuer, request, actor_token, request.parameters["actor_token_type"])
    if actor is None:
        raise actor_invalid()
    check_actor(actor.held, request.client, dpop_jkt=request.dpop_jkt)
    return actor.held.subject


def _named(issuer: TokenIssuer, paths: tuple[str, ...]) -> list[ProtectedResource]:
    return [resource for resource in issuer.resources if endpoint_name(resource.path) in paths]


def _target(issuer: TokenIssuer, request: TokenRequest) -> ProtectedResource:
    named = named_target(request.parameters.get("resource"), request.parameters.get("audience"))
    found = find_resource(_named(issuer, request.client.exchange_to), named)
    if found is None:
        raise target_not_allowed()
    return found


async def _mint(
    issuer: TokenIssuer,
    request: TokenRequest,
    subject: _Sent,
    *,
    resource: ProtectedResource,
    scopes: tuple[str, ...],
    actors: tuple[str, ...],
) -> tuple[Tokens, ExchangedToken]:
    """Return the token and its row, as those of a grant to this client would be that ends with the subject token."""
    as_granted = Grant(
        grant_id=subject.live.grant_id,
        subject=subject.held.subject,
        client_id=request.client.client_id,
        resource=resource.identifier,
        scopes=scopes,
        created_at=request.now,
        expires_at=subject.live.expires_at,
    )
    tokens, rows = await issuer.mint(request, as_granted, scopes=scopes, with_refresh_token=False, actors=actors)
    row = ExchangedToken(
        token_fingerprint=rows.access.token_fingerprint,
        grant_id=as_granted.grant_id,
        client_id=as_granted.client_id,
        resource=as_granted.resource,
        scopes=scopes,
        actors=actors,
        created_at=request.now,
        expires_at=rows.access.expires_at,
        dpop_jkt=rows.access.dpop_jkt,
    )
    return replace(tokens, issued_type=ACCESS_TOKEN_TYPE), row


TOKEN_EXCHANGE: Final = GrantType(
    NAME,
    exchange_token,
    is_registrable=False,
    parameters={
        "subject_token": "token exchange only (RFC 8693): the access token that was sent",
        "subject_token_type": f"token exchange only: {ACCESS_TOKEN_TYPE}",
        "actor_token": "token exchange only: an access token of the client's own, whose subject acts",
        "actor_token_type": "with actor_token: what it is",
        "requested_token_type": f"token exchange only: {ACCESS_TOKEN_TYPE}, or nothing",
        "audience": "token exchange only: as resource",
    },
)
