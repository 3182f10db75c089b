"""Clients that the operator names: at the terminal, or in the settings, which decide what the store holds.

They are those of RFC 7591, and machines that act for themselves (RFC 6749 section 4.4). A client that the settings no
longer name is removed with all that it was granted, and one that they change keeps its grants except those that it
could not get any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from gatepost.late_dataclass import dataclass
from gatepost.oauth.asserted_grants import JWT_BEARER
from gatepost.oauth.client_documents import is_document_url
from gatepost.oauth.device_authorization import DEVICE_CODE
from gatepost.oauth.errors import InvalidClientMetadata
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client, ClientMetadata, ClientOrigin, Grant
from gatepost.oauth.registration import DEFAULT_GRANT_TYPES, read_metadata
from gatepost.oauth.scopes import parse_scope
from gatepost.oauth.token_exchange import TOKEN_EXCHANGE

CLIENT_CREDENTIALS = "client_credentials"
_GRANT_TYPES = (*DEFAULT_GRANT_TYPES, DEVICE_CODE)
# Validation of a machine goes the way of all clients; no request of it is ever sent there.
_NO_REDIRECT = "https://client.invalid/"


def preregistration(
    name: str,
    *,
    redirect_uris: Sequence[str],
    is_machine: bool,
    is_device: bool = False,
    exchanges: bool = False,
    auth_method: str | None,
    jwks: object,
    jwks_uri: str | None,
    scope: str | None,
    is_enterprise_managed: bool = False,
    dpop_bound_access_tokens: bool = False,
) -> dict[str, object]:
    """Return what an operator has typed as client metadata (RFC 7591 section 2), for `read_preregistration`.

    Without an authentication method it is the one that the keys need, a secret where it acts without a login, or none.
    """
    if auth_method is None and (jwks is not None or jwks_uri is not None):
        auth_method = "private_key_jwt"
    elif auth_method is None and (is_machine or is_enterprise_managed or exchanges):
        auth_method = "client_secret_basic"
    return {
        "client_name": name,
        "redirect_uris": [*redirect_uris],
        "grant_types": grant_types_of(is_device=is_device, redirects=bool(redirect_uris)),
        "token_endpoint_auth_method": auth_method,
        "jwks": jwks,
        "jwks_uri": jwks_uri,
        "scope": scope,
        "dpop_bound_access_tokens": dpop_bound_access_tokens,
    }


def grant_types_of(*, is_device: bool, redirects: bool) -> list[str]:
    """Return the grant types of people that an operator's client asks for: with redirect URIs, by device, or by both.

    Empty where neither is said.
    """
    if not is_device:
        return []
    return [*(DEFAULT_GRANT_TYPES if redirects else ("refresh_token",)), DEVICE_CODE]


def read_preregistration(
    document: Mapping[str, object], *, is_machine: bool, is_enterprise_managed: bool = False, exchanges: bool = False
) -> ClientMetadata:
    """Return what an operator's registration, metadata as in RFC 7591, comes to. Its scopes are taken as they are.

    A machine may ask for tokens for itself, one that is enterprise-managed for those whom an identity provider names,
    and one that exchanges for those whose tokens it is sent; without redirect URIs and logins by device they can do
    nothing else.

    Raises:
        InvalidRedirectUri: a redirect URI is missing or cannot be registered.
        InvalidClientMetadata: something else is malformed or contradicts itself.
    """
    scope = document.get("scope")
    known_scopes = parse_scope(scope) if isinstance(scope, str) else ()
    asked = document.get("grant_types")
    is_of_people = bool(document.get("redirect_uris")) or (isinstance(asked, list) and DEVICE_CODE in asked)
    asked_for = {CLIENT_CREDENTIALS: is_machine, JWT_BEARER: is_enterprise_managed, TOKEN_EXCHANGE: exchanges}
    own = tuple(grant_type for grant_type, is_asked in asked_for.items() if is_asked)
    if not own:
        return read_metadata(document, known_scopes=known_scopes, grant_types=_GRANT_TYPES)
    checked = document if is_of_people else {**document, "redirect_uris": [_NO_REDIRECT]}
    metadata = read_metadata(checked, known_scopes=known_scopes, grant_types=_GRANT_TYPES)
    if metadata.token_endpoint_auth_method == "none":
        raise InvalidClientMetadata(
            Reason.CLIENT_METADATA_INVALID,
            "A client that acts without a login here has to authenticate: with a secret, or with private_key_jwt.",
        )
    if is_of_people:
        return replace(metadata, grant_types=(*metadata.grant_types, *own))
    return replace(metadata, redirect_uris=(), grant_types=own, response_types=(), application_type="web")


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What has to be done about the clients of the settings, or what has been done."""

    added: tuple[Client, ...] = ()
    changed: tuple[Client, ...] = ()
    """As they are from now on."""
    removed: tuple[str, ...] = ()
    """Client ids."""
    taken: tuple[str, ...] = ()
    """Client ids that a client of another origin has. If there are any, nothing is done."""


def reconcile(kept: Mapping[str, Client], wanted: Sequence[Client]) -> Reconciliation:
    """Return what has to be done.

    `kept` is by its id every client that came from the settings or has an id that is wanted; `wanted` is what the
    settings name, each id once, all of origin `SETTINGS` and enabled.
    """
    taken = tuple(
        client.client_id
        for client in wanted
        if client.client_id in kept and kept[client.client_id].origin is not ClientOrigin.SETTINGS
    )
    if taken:
        return Reconciliation(taken=taken)
    aged = [
        replace(client, created_at=kept[client.client_id].created_at) for client in wanted if client.client_id in kept
    ]
    return Reconciliation(
        added=tuple(client for client in wanted if client.client_id not in kept),
        changed=tuple(client for client in aged if client != kept[client.client_id]),
        removed=tuple(sorted(kept.keys() - {client.client_id for client in wanted})),
    )


def lost_grants(client: Client, grants: Iterable[Grant]) -> list[str]:
    """Return the ids of those of a client's `grants` that it could not get as it is now.

    The scopes of a person's grant are what that person agreed to, and `client.scope` is no ceiling for them (see
    `authorization.requested_scopes`); for a grant to itself it is the most the client can have.
    """
    is_asserted, ceiling = JWT_BEARER in client.grant_types, client.scope
    is_machine = CLIENT_CREDENTIALS in client.grant_types or is_asserted
    return [
        grant.grant_id
        for grant in grants
        if (
            not is_machine or (ceiling is not None and not set(grant.scopes) <= set(ceiling.split()))
            if grant.subject == client.client_id
            else not (serves_people(client) or is_asserted)
        )
    ]


def serves_people(client: Client) -> bool:
    """Say whether people can give this client access."""
    return not {"authorization_code", DEVICE_CODE}.isdisjoint(client.grant_types)


def placeholder_of(client_id: str, *, now: int) -> Client | None:
    """Return what is kept of a client that is known by a document, so that there is something to disable."""
    if not is_document_url(client_id):
        return None
    return Client(
        client_id=client_id,
        client_name="(known by its document)",
        redirect_uris=(),
        grant_types=(),
        response_types=(),
        token_endpoint_auth_method="none",  # noqa: S106 - a method, not a password
        application_type="web",
        scope=None,
        client_uri=None,
        logo_uri=None,
        jwks=None,
        jwks_uri=None,
        dpop_bound_access_tokens=False,
        secret_fingerprint=None,
        created_at=now,
        origin=ClientOrigin.DOCUMENT,
    )
