"""Client credentials: a registered machine gets a token for itself (RFC 6749 section 4.4, MCP's OAuth extension).

There is no user: the subject is the client. There is no refresh token either; a client can ask again whenever it likes
(RFC 6749 section 4.4.3).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gatepost.oauth.errors import InvalidScope, UnauthorizedClient
from gatepost.oauth.policy import Lifetimes
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client, ClientOrigin, Grant
from gatepost.oauth.scopes import select_scopes
from gatepost.tokens.opaque import RandomBytes, identifier

_OF_THE_OPERATOR = (ClientOrigin.PREREGISTERED, ClientOrigin.SETTINGS)


def check_machine(client: Client) -> None:
    """Refuse a client that may not act for itself.

    Only clients that the operator registered may, and only those that authenticate: anybody can register dynamically or
    publish a document, and nobody has consented to either.

    Raises:
        UnauthorizedClient: this one may not.
    """
    if client.origin not in _OF_THE_OPERATOR or client.token_endpoint_auth_method == "none":
        raise UnauthorizedClient(
            Reason.GRANT_TYPE_NOT_REGISTERED,
            "client_credentials is for clients that the operator of this server has registered for it.",
        )


def machine_scopes(
    requested: str | None, *, client: Client, known: Collection[str], default: Sequence[str]
) -> tuple[str, ...]:
    """Return the scopes of the token: what is asked for, inside what the operator gave the client.

    Args:
        requested: the `scope` parameter.
        client: the client; its `scope` is the most it can have, None means all there are.
        known: the scopes of the resource.
        default: what naming no scope means where the client has no `scope`.

    Raises:
        InvalidScope: `requested` is malformed, names only scopes that the client may not have, or there is none that it
            may have at this resource.
    """
    allowed = tuple(default) if client.scope is None else tuple(s for s in client.scope.split() if s in known)
    named = select_scopes(requested, known=known, default=allowed)
    selected = named if client.scope is None else tuple(scope for scope in named if scope in allowed)
    if not selected and known:
        raise InvalidScope(
            Reason.SCOPE_WIDER_THAN_GRANTED,
            "This client may have none of these scopes here; ask the operator of this server, or leave scope out.",
        )
    return selected


def machine_grant(
    client: Client, *, resource: str, scopes: tuple[str, ...], now: int, lifetimes: Lifetimes, random_bytes: RandomBytes
) -> Grant:
    """Return the grant behind one token; it ends with the token."""
    return Grant(
        grant_id=identifier("grant_", random_bytes),
        subject=client.client_id,
        client_id=client.client_id,
        resource=resource,
        scopes=scopes,
        created_at=now,
        expires_at=now + lifetimes.access_token,
    )


def client_gone() -> UnauthorizedClient:
    """Return the refusal for a client that was disabled or removed while its request was under way."""
    return UnauthorizedClient(Reason.CLIENT_DISABLED, "This client was disabled or removed.")
