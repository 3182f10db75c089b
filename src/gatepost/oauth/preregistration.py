"""Clients that an operator registers: those of RFC 7591, and machines that act for themselves (RFC 6749, 4.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gatepost.oauth.errors import InvalidClientMetadata
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import ClientMetadata
from gatepost.oauth.registration import read_metadata
from gatepost.oauth.scopes import parse_scope

CLIENT_CREDENTIALS = "client_credentials"
# Validation of a machine goes the way of all clients; no request of it is ever sent there.
_NO_REDIRECT = "https://client.invalid/"


def read_preregistration(document: Mapping[str, object], *, is_machine: bool) -> ClientMetadata:
    """Return what an operator's registration comes to.

    Args:
        document: metadata as in RFC 7591. Its scopes are taken as they are.
        is_machine: whether the client may ask for tokens for itself. Without redirect URIs it can do nothing else.

    Raises:
        InvalidRedirectUri: a redirect URI is missing or cannot be registered.
        InvalidClientMetadata: something else is malformed or contradicts itself.
    """
    scope = document.get("scope")
    known_scopes = parse_scope(scope) if isinstance(scope, str) else ()
    has_redirects = bool(document.get("redirect_uris"))
    if not is_machine:
        return read_metadata(document, known_scopes=known_scopes)
    checked = document if has_redirects else {**document, "redirect_uris": [_NO_REDIRECT]}
    metadata = read_metadata(checked, known_scopes=known_scopes)
    if metadata.token_endpoint_auth_method == "none":
        raise InvalidClientMetadata(
            Reason.CLIENT_METADATA_INVALID,
            "A client that acts for itself has to authenticate: with a secret, or with private_key_jwt.",
        )
    if has_redirects:
        return replace(metadata, grant_types=(*metadata.grant_types, CLIENT_CREDENTIALS))
    return replace(
        metadata, redirect_uris=(), grant_types=(CLIENT_CREDENTIALS,), response_types=(), application_type="web"
    )
