"""A client manages its own registration: reads, replaces and deletes it (RFC 7592)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from gatepost.oauth.errors import InvalidClientMetadata, InvalidToken
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Client, ClientMetadata
from gatepost.oauth.registration import DEFAULT_GRANT_TYPES, read_metadata
from gatepost.tokens.opaque import matches

# RFC 7592 section 2.2: these are the server's to say.
_SERVERS_OWN = (
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
)


def check_manager(client: Client | None, token: str | None) -> Client:
    """Return the client if `token` is its registration access token.

    An unknown client, a disabled one and a wrong token get the same answer (RFC 7592 section 2.1).

    Raises:
        InvalidToken: it is not.
    """
    if client is None or client.disabled_at is not None or not matches(token, client.registration_token_fingerprint):
        raise wrong_token()
    return client


def check_initial_access_token(token: str | None, *, expected: bytes) -> None:
    """Refuse a registration without the operator's initial access token, by its fingerprint (RFC 7591 section 3).

    Raises:
        InvalidToken: it is missing or wrong.
    """
    if not matches(token, expected):
        raise wrong_token()


def wrong_token() -> InvalidToken:
    """Return the refusal for a missing or wrong token of either kind."""
    return InvalidToken(
        Reason.REGISTRATION_TOKEN_WRONG,
        "Send the token for this: to register, the operator's initial access token; to manage a registration, the "
        "registration access token that it came with.",
    )


def read_update(
    document: Mapping[str, object],
    client: Client,
    *,
    known_scopes: Collection[str],
    grant_types: Sequence[str] = DEFAULT_GRANT_TYPES,
) -> ClientMetadata:
    """Return what an update comes to. It replaces everything: what is left out is as in a new registration.

    Raises:
        InvalidRedirectUri: as for a registration.
        InvalidClientMetadata: as for a registration; or it names another client, or what only the server can say.
    """
    if document.get("client_id") != client.client_id:
        raise _refused("client_id must be there and be this client's own (RFC 7592 section 2.2).")
    if present := [name for name in _SERVERS_OWN if name in document]:
        raise _refused(f"{' and '.join(present)} must not be there (RFC 7592 section 2.2).")
    secret = document.get("client_secret")
    if secret is not None and not (isinstance(secret, str) and matches(secret, client.secret_fingerprint)):
        raise _refused("client_secret must be the current one, or left out; a client cannot choose its own.")
    return read_metadata(document, known_scopes=known_scopes, grant_types=grant_types)


def updated_client(
    client: Client,
    metadata: ClientMetadata,
    *,
    new_secret_fingerprint: bytes | None,
    requires_pushed_requests: bool = False,
) -> Client:
    """Return the client's record after an update; the new secret is its first one, where it needs one now."""
    secret_fingerprint = (new_secret_fingerprint or client.secret_fingerprint) if metadata.needs_secret else None
    return replace(
        client,
        **metadata.metadata(),
        secret_fingerprint=secret_fingerprint,
        requires_pushed_requests=requires_pushed_requests,
    )


def _refused(description: str) -> InvalidClientMetadata:
    return InvalidClientMetadata(Reason.CLIENT_METADATA_INVALID, description)
