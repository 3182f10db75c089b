"""Refreshing: who may use a refresh token, and how its successor is kept (RFC 6749 section 6, RFC 9700 section 4.14.2).

Every use rotates. The answer of a rotation can be lost on its way, and several copies of one client can use the same
token at once; both are honest, and both send a token that has just been spent. So the successor is kept beside the
spent token, sealed under that token itself: whoever still holds it gets the same answer again for a short while, and
a stolen database gives nobody anything.

Several processes of one client also hold a copy each, and send one that is hours old. Each seal opens the next, from a
spent token to the newest of its family: that one is what a stale copy gets, with an access token of its own. So the
copies meet again in one token, the family never forks, and whoever falls behind by more than the operator allows is
taken for a thief.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from gatepost.oauth.dpop import check_key
from gatepost.oauth.errors import InvalidGrant, InvalidScope, InvalidTarget
from gatepost.oauth.issuing import Tokens
from gatepost.oauth.policy import Lifetimes, StaleTokens
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client, Grant, RefreshToken
from gatepost.tokens.opaque import RandomBytes, fingerprint
from gatepost.tokens.sealing import derive_key, seal, unseal

_PURPOSE = "refresh-successor"


def check_refresh(
    token: RefreshToken | None,
    grant: Grant | None,
    *,
    user_disabled: bool,
    client_id: str,
    resource: str | None,
    served: Collection[str],
    now: int,
    dpop_jkt: str | None = None,
) -> Grant:
    """Return the grant if this client may refresh it with this token.

    Whether the token has been spent is not decided here: only the store can say so and rotate in one step.

    `token` and `grant` are what the store holds, spent, expired, revoked or not; `client_id` has authenticated;
    `resource` is what the request names, in its canonical spelling, or None; `served` are the resources that there are;
    `dpop_jkt` is the thumbprint of the key that the request proves to hold.

    Raises:
        InvalidGrant: the token is unknown, expired or another client's, bound to another key, its grant is over, or its
            resource is gone.
        InvalidDpopProof: the token is bound to a key, and the request proves nothing.
        InvalidTarget: it is for another resource (RFC 8707 section 2.2).
    """
    if token is None or grant is None:
        raise InvalidGrant(
            Reason.REFRESH_TOKEN_UNKNOWN, "The refresh token is unknown; send the user through authorization again."
        )
    if grant.client_id != client_id:
        raise InvalidGrant(Reason.REFRESH_TOKEN_OF_ANOTHER_CLIENT, "The refresh token was issued to another client.")
    if token.dpop_jkt is not None:
        check_key(token.dpop_jkt, dpop_jkt)
    _check_live(token, grant, user_disabled=user_disabled, now=now)
    if grant.resource not in served:
        # Whatever the request names, this grant opens nothing here; at invalid_target clients would keep it for ever.
        raise InvalidGrant(
            Reason.RESOURCE_NOT_SERVED, "What this approval was for is not served here any more; authorize again."
        )
    if resource is not None and resource != grant.resource:
        raise InvalidTarget(
            Reason.REFRESH_TOKEN_RESOURCE_MISMATCH, "resource differs from what was granted; send the same one."
        )
    return grant


def seal_successor(tokens: Tokens, *, predecessor: str, random_bytes: RandomBytes) -> bytes:
    """Return `tokens` sealed so that only `predecessor`, the refresh token they replace, opens them."""
    members: list[object] = [tokens.access_token, tokens.refresh_token, tokens.expires_at, tokens.scopes]
    # Servers of the version before open what has four members.
    plaintext = json.dumps([*members, True] if tokens.is_bound else members).encode()
    return seal(
        plaintext,
        key=derive_key(predecessor.encode(), purpose=_PURPOSE),
        associated_data=fingerprint(predecessor),
        random_bytes=random_bytes,
    )


def open_successor(sealed: bytes, *, predecessor: str) -> Tokens:
    """Return the tokens that replaced `predecessor`.

    Raises:
        SealBroken: `sealed` was altered, or replaced another token.
    """
    key = derive_key(predecessor.encode(), purpose=_PURPOSE)
    plaintext = unseal(sealed, key=key, associated_data=fingerprint(predecessor))
    access_token, refresh_token, expires_at, scopes, *bound = json.loads(plaintext)
    return Tokens(access_token, refresh_token, expires_at, tuple(scopes), is_bound=bool(bound))


def open_newest(chain: Sequence[bytes], *, predecessor: str) -> str:
    """Return the newest refresh token of a family.

    `chain` is what is sealed under `predecessor`, then what is sealed under each refresh token that is found, to the
    one that is unspent.

    Raises:
        SealBroken: something was altered, or is not in its place.
    """
    token = predecessor
    for sealed in chain:
        # A refresh's answer always has one.
        token = open_successor(sealed, predecessor=token).refresh_token or ""
    return token


def stale_tokens(client: Client, lifetimes: Lifetimes) -> StaleTokens:
    """Return what this client may do with refresh tokens that were spent before."""
    seconds = lifetimes.refresh_reuse if client.refresh_reuse is None else client.refresh_reuse
    return StaleTokens(seconds, lifetimes.refresh_token)


def grant_revoked_error() -> InvalidGrant:
    """Return the refusal for a grant that ended between its look-up and its rotation."""
    return InvalidGrant(Reason.GRANT_REVOKED, "This approval was revoked; send the user through authorization again.")


def user_not_allowed_error() -> InvalidGrant:
    """Return the refusal for somebody whom the rule of who may enter does not name any more; the grant is revoked."""
    return InvalidGrant(
        Reason.USER_NOT_ALLOWED,
        "The account that approved this may not enter this server any more; the people who run it say who may.",
    )


def permitted_scopes(
    requested: Sequence[str], *, granted: Sequence[str], permitted: Collection[str]
) -> tuple[str, ...]:
    """Return the scopes of a refreshed access token that the person's roles still permit.

    `requested` has been narrowed to what was `granted`. What the roles took away comes back with them, up to that.

    Raises:
        InvalidGrant: nothing of what was granted is left. Nothing is revoked: a role can be given back.
        InvalidScope: nothing of what is asked for is left.
    """
    left = tuple(scope for scope in requested if scope in permitted)
    if left or not requested:
        return left
    if not any(scope in permitted for scope in granted):
        raise InvalidGrant(
            Reason.ROLES_PERMIT_NOTHING,
            "The roles of the account that approved this permit none of its scopes any more; authorize again.",
        )
    raise InvalidScope(
        Reason.ROLES_PERMIT_NOTHING, "The user's roles permit none of these scopes any more; leave scope out."
    )


def token_reused_error() -> InvalidGrant:
    """Return the refusal for a refresh token that was spent before; its grant is revoked by then."""
    return InvalidGrant(
        Reason.REFRESH_TOKEN_REUSED,
        "The refresh token was used before, so everything it gave is revoked; authorize again, and keep the newest.",
    )


def _check_live(token: RefreshToken, grant: Grant, *, user_disabled: bool, now: int) -> None:
    """Refuse to refresh what is over."""
    if grant.revoked_at is not None:
        raise grant_revoked_error()
    if user_disabled:
        raise InvalidGrant(Reason.USER_DISABLED, "The account that approved this is disabled.")
    if grant.expires_at <= now:
        raise InvalidGrant(Reason.GRANT_EXPIRED, "This approval has reached its end; authorize again.")
    if token.expires_at <= now:
        raise InvalidGrant(
            Reason.REFRESH_TOKEN_EXPIRED, "The refresh token was not used for too long; authorize again."
        )
