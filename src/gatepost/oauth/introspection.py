"""What is said about a token, and to whom (RFC 7662).

Whoever registers a client with a secret can authenticate, so that alone opens nothing. A client is told about the
access tokens that were issued to itself. Resource servers, which have to ask about everybody's, are clients that the
operator names. All others get the same answer as for a token that never was (RFC 7662 section 4), and so does whoever
asks about a refresh token: a resource server must never take one for an access token.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gatepost.oauth import client_authentication
from gatepost.oauth.errors import InvalidClient
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client
from gatepost.oauth.token_exchange import act_claim

INACTIVE: dict[str, object] = {"active": False}
"""The whole answer about a token that does not count, or is none of the caller's business (section 2.2)."""


def methods_supported() -> tuple[str, ...]:
    """Return how callers may authenticate: as at the token endpoint, but never not at all (section 2.1)."""
    return tuple(method for method in client_authentication.METHODS_SUPPORTED if method != "none")


def check_caller(client: Client) -> None:
    """Refuse a client that has not proven who it is: `client_id` alone is no secret.

    Raises:
        InvalidClient: it is a public client.
    """
    if client.token_endpoint_auth_method == "none":
        raise InvalidClient(
            Reason.CLIENT_AUTHENTICATION_METHOD_WRONG,
            "This endpoint answers clients that authenticate; a public client knows about its tokens by using them.",
        )


def may_know(caller: Client, *, owner: str, resource_servers: Collection[str]) -> bool:
    """Say whether a client is told about a token that was issued to the client `owner`."""
    return owner == caller.client_id or caller.client_id in resource_servers


def active_token(
    *,
    issuer: str,
    subject: str,
    client_id: str,
    resource: str,
    scopes: Collection[str],
    expires_at: int,
    dpop_jkt: str | None = None,
    actors: Sequence[str] = (),
) -> dict[str, object]:
    """Return what is said about an access token that counts (section 2.2), and its key (RFC 9449 section 6.2).

    `actors` are the subjects of those who act with it, the current one first (RFC 8693 section 4.1).
    """
    acting: dict[str, object] = {"act": act_claim(actors)} if actors else {}
    bound: dict[str, object] = {} if dpop_jkt is None else {"cnf": {"jkt": dpop_jkt}}
    return {
        "active": True,
        "scope": " ".join(scopes),
        "client_id": client_id,
        "token_type": "DPoP" if bound else "Bearer",
        "exp": expires_at,
        "sub": subject,
        "aud": resource,
        "iss": issuer,
        **bound,
        **acting,
    }
