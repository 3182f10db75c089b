"""Token exchange: a server that was sent a token gets one of its own for what stands behind it (RFC 8693).

A confidential client that the operator lists shows an access token of this server that it was sent, the subject token,
and gets another one for the same subject: for one resource that it may reach, with no scope that the first one lacks,
and no longer than the first one lives. It belongs to the grant of the first, so whatever ends that ends both. Who acts
is always said, in `act` (section 4.1): nobody can tell such a token from one of the subject's own otherwise.

There is no `may_act` (section 4.4): it would be this server that says it, of what the operator's lists say anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from gatepost.late_dataclass import dataclass
from gatepost.oauth.dpop import check_key
from gatepost.oauth.errors import InvalidDpopProof, InvalidRequest, InvalidScope, InvalidTarget, UnauthorizedClient
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client, ClientOrigin
from gatepost.oauth.scopes import narrow_scopes

TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
"""The grant type (section 2.1)."""
ACCESS_TOKEN_TYPE: Final = "urn:ietf:params:oauth:token-type:access_token"
"""What is issued, whatever its format is (section 3)."""
JWT_TYPE: Final = "urn:ietf:params:oauth:token-type:jwt"
"""What a signed access token may be called by who sends it."""

MOST_ACTORS: Final = 3
"""How many may act one behind the other: the servers of a chain."""
_MOST_ENDPOINTS: Final = 100
_PATH: Final = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@%-][A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?")
_OF_THE_OPERATOR: Final = (ClientOrigin.PREREGISTERED, ClientOrigin.SETTINGS)


@dataclass(frozen=True, slots=True)
class ExchangedToken:
    """The row of an access token that was given for another one."""

    token_fingerprint: bytes
    grant_id: str
    """The grant of the subject token."""
    client_id: str
    """Who holds it; the grant's client is another one, as a rule."""
    resource: str
    """What it is for, instead of the grant's resource."""
    scopes: tuple[str, ...]
    actors: tuple[str, ...]
    """The subjects of those who act, the current one first (section 4.1)."""
    created_at: int
    expires_at: int
    dpop_jkt: str | None = None
    """The thumbprint of the key that it is bound to (RFC 9449 section 6); None for a bearer token."""


@dataclass(frozen=True, slots=True)
class HeldToken:
    """What a token says that counts now, as far as an exchange is about it."""

    subject: str
    client_id: str
    resource: str
    scopes: tuple[str, ...]
    """Those that its person may still have."""
    dpop_jkt: str | None = None
    actors: tuple[str, ...] = ()


def check_may_exchange(client: Client) -> None:
    """Refuse a client that may not exchange tokens at all.

    Only those may that the operator registered for it and that authenticate (section 5: whoever gets hold of a token
    could exchange it otherwise).

    Raises:
        UnauthorizedClient: this one may not.
    """
    is_listed = bool(client.exchange_from and client.exchange_to)
    if client.origin not in _OF_THE_OPERATOR or client.token_endpoint_auth_method == "none" or not is_listed:
        raise UnauthorizedClient(
            Reason.GRANT_TYPE_NOT_REGISTERED,
            "Token exchange is for clients that the operator of this server has registered for it.",
        )


def check_token_types(subject: str, actor: str | None, requested: str | None, *, has_actor: bool) -> None:
    """Refuse types of tokens that this server neither takes nor gives (section 3).

    Args:
        subject: `subject_token_type`.
        actor: `actor_token_type`.
        requested: `requested_token_type`; None leaves it to the server.
        has_actor: whether there is an `actor_token`.

    Raises:
        InvalidRequest: there is such a type, or an actor's type without its token, or the other way round
            (section 2.1).
    """
    if has_actor and actor is None:
        raise InvalidRequest(Reason.PARAMETER_MISSING, "actor_token_type is missing; say what the actor_token is.")
    if actor is not None and not has_actor:
        raise InvalidRequest(Reason.PARAMETER_MISSING, "actor_token is missing; leave actor_token_type out without it.")
    taken = (ACCESS_TOKEN_TYPE, JWT_TYPE)
    if subject not in taken or (actor is not None and actor not in taken):
        raise InvalidRequest(
            Reason.TOKEN_TYPE_UNSUPPORTED, f"subject_token and actor_token are access tokens here: {ACCESS_TOKEN_TYPE}."
        )
    if requested not in {None, ACCESS_TOKEN_TYPE}:
        raise InvalidRequest(
            Reason.TOKEN_TYPE_UNSUPPORTED, f"requested_token_type is {ACCESS_TOKEN_TYPE} here; leave it out."
        )


def subject_invalid() -> InvalidRequest:
    """Return the refusal of a subject token that does not count, for whatever reason (section 2.2.2).

    Which one it is would tell whoever tries tokens.
    """
    return InvalidRequest(
        Reason.SUBJECT_TOKEN_INVALID,
        "subject_token is no access token of this server that counts now; it may have expired or been revoked.",
    )


def actor_invalid() -> InvalidRequest:
    """Return the refusal of an actor token that does not count, or not for this client (section 2.2.2)."""
    return InvalidRequest(
        Reason.ACTOR_TOKEN_INVALID,
        "actor_token is no access token of this server that counts now and was issued to this client.",
    )


def check_subject(token: HeldToken, client: Client, *, is_received: bool, dpop_jkt: str | None) -> None:
    """Refuse a subject token that this client was not sent, or whose binding would be lost.

    Without this, whoever may exchange could use tokens that came to them from anywhere: of a log, of another server, of
    a client that was talked into sending it (the confused deputy). A token that is bound to a key stays with whoever
    can prove one: that of the client that holds it, or of its own client where it was sent to it.

    Args:
        token: what the subject token says.
        client: who sends it, and has authenticated.
        is_received: whether it is for a resource whose tokens the client is sent.
        dpop_jkt: the thumbprint of the key that the request proves to hold.

    Raises:
        InvalidRequest: it is for a resource whose tokens this client is not sent.
        InvalidGrant: it is this client's own, and bound to another key.
        InvalidDpopProof: it is bound to a key, and the request proves none.
    """
    if not is_received:
        raise InvalidRequest(
            Reason.SUBJECT_TOKEN_OF_ANOTHER_RESOURCE,
            "subject_token was issued for a resource whose tokens this client may not exchange.",
        )
    if token.dpop_jkt is None:
        return
    if token.client_id == client.client_id:
        check_key(token.dpop_jkt, dpop_jkt, of="subject_token")
    elif dpop_jkt is None:
        raise InvalidDpopProof(
            Reason.DPOP_PROOF_MISSING,
            "subject_token is bound to a key, and what is given for it has to be: send a DPoP proof with a key of your "
            "own.",
        )


def check_actor(token: HeldToken, client: Client, *, dpop_jkt: str | None) -> None:
    """Refuse an actor token that is not this client's: nobody acts under a name that somebody else was given.

    Raises:
        InvalidRequest: it was issued to another client, or its subject has others act for it already.
        InvalidGrant: it is bound to another key than `dpop_jkt`, which the request proves to hold.
        InvalidDpopProof: it is bound to a key, and the request proves none.
    """
    if token.client_id != client.client_id or token.actors:
        raise actor_invalid()
    if token.dpop_jkt is not None:
        check_key(token.dpop_jkt, dpop_jkt, of="actor_token")


def actors_of(token: HeldToken, actor: str) -> tuple[str, ...]:
    """Return who acts with what is given for `token`, `actor` first (section 4.1).

    Raises:
        InvalidRequest: there would be more of them than `MOST_ACTORS`.
    """
    if len(token.actors) >= MOST_ACTORS:
        raise InvalidRequest(
            Reason.ACTORS_TOO_MANY, f"subject_token has been exchanged {MOST_ACTORS} times; that is the most."
        )
    return (actor, *token.actors)


def named_target(resource: str | None, audience: str | None) -> str | None:
    """Return what a request wants a token for, as it spells it; None where it leaves that open.

    `audience` takes what `resource` does, the URL of a resource: there are no other names for them here.

    Raises:
        InvalidTarget: it names two (section 2.1 lets it); a token is for one.
    """
    if resource is not None and audience is not None and resource != audience:
        raise InvalidTarget(Reason.RESOURCE_UNKNOWN, "resource and audience differ; a token is for one resource.")
    return audience if resource is None else resource


def target_not_allowed() -> InvalidTarget:
    """Return the refusal of a resource that there is not, or that this client may not reach (section 2.2.2)."""
    return InvalidTarget(
        Reason.EXCHANGE_TARGET_NOT_ALLOWED,
        "resource is none for which this client may get tokens, or has to be said since there are several.",
    )


def exchanged_scopes(
    requested: str | None, *, held: Sequence[str], known: Mapping[str, object], ceiling: str | None
) -> tuple[str, ...]:
    """Return the scopes of what is given: those of the subject token that the resource knows, or some of them.

    Args:
        requested: the `scope` parameter; None means all that can be had.
        held: the scopes of the subject token.
        known: those of the resource that the token is to be for.
        ceiling: the most that the operator lets the client have; None for anything.

    Raises:
        InvalidScope: it is malformed, or asks for more than can be had, or nothing can be had.
    """
    limit = None if ceiling is None else ceiling.split()
    had = tuple(scope for scope in held if scope in known and (limit is None or scope in limit))
    if known and not had:
        raise InvalidScope(
            Reason.SCOPE_WIDER_THAN_GRANTED, "subject_token has no scope that this client could have at this resource."
        )
    return narrow_scopes(requested, granted=had, known=known)


def act_claim(actors: Sequence[str]) -> dict[str, object] | None:
    """Return the claim `act` (section 4.1): the current actor, and inside of it who acted before; None for nobody."""
    claim: dict[str, object] | None = None
    for actor in reversed(actors):
        claim = {"sub": actor} if claim is None else {"sub": actor, "act": claim}
    return claim


def read_endpoints(words: Iterable[str]) -> tuple[str, ...]:
    """Return the paths of endpoints that an operator has typed, each once.

    Raises:
        ValueError: one is no path such as `/mcp`, or there are more than a hundred; its words say so.
    """
    typed = tuple(words)
    if any(_PATH.fullmatch(word) is None for word in typed):
        raise ValueError("takes paths of endpoints, such as /mcp")
    paths = tuple(dict.fromkeys(map(endpoint_name, typed)))
    if len(paths) > _MOST_ENDPOINTS:
        raise ValueError(f"takes {_MOST_ENDPOINTS} paths at most")
    return paths


def endpoint_name(path: str) -> str:
    """Return the path of an endpoint as clients' lists have it: without a slash at its end, unless it is the root."""
    return path.removesuffix("/") or "/"
