"""Authorization server metadata (RFC 8414 section 2): every field that is true, and none that is not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gatepost.oauth import client_authentication, introspection, pkce
from gatepost.oauth.policy import AuthorizationServer, Devices
from gatepost.tokens.client_keys import ALGORITHMS
from gatepost.tokens.dpop import SIGNING_ALGORITHMS


def server_metadata(
    server: AuthorizationServer,
    *,
    grant_types: Iterable[str],
    scopes: Iterable[str],
    resources: Sequence[str],
    service_documentation: str | None,
    grant_profiles: Sequence[str] = (),
) -> dict[str, object]:
    """Return the members of the metadata document.

    `offline_access` is not among the scopes: refresh tokens do not depend on it, and clients that see it ask for it.
    Repeated scopes are dropped; `resources` are identifiers (RFC 9728 section 4); `grant_types` are what the token
    endpoint takes, and `grant_profiles` what it takes of them (section 7.2 of the draft of ID-JAG).
    """
    metadata: dict[str, object] = {
        "issuer": server.issuer,
        "authorization_endpoint": f"{server.issuer}/oauth/authorize",
        "token_endpoint": f"{server.issuer}/oauth/token",
        "pushed_authorization_request_endpoint": f"{server.issuer}/oauth/par",  # RFC 9126 section 5
        "scopes_supported": list(dict.fromkeys(scopes)),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(grant_types),
        "token_endpoint_auth_methods_supported": list(client_authentication.METHODS_SUPPORTED),
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "revocation_endpoint": f"{server.issuer}/oauth/revoke",
        "revocation_endpoint_auth_methods_supported": list(client_authentication.METHODS_SUPPORTED),
        "revocation_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "introspection_endpoint": f"{server.issuer}/oauth/introspect",
        "introspection_endpoint_auth_methods_supported": list(introspection.methods_supported()),
        "introspection_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "code_challenge_methods_supported": list(pkce.METHODS_SUPPORTED),
        "dpop_signing_alg_values_supported": list(SIGNING_ALGORITHMS),  # RFC 9449 section 5.1
        "authorization_response_iss_parameter_supported": True,  # RFC 9207 section 3
        "protected_resources": list(resources),
    }
    if grant_profiles:
        metadata["authorization_grant_profiles_supported"] = list(grant_profiles)
    if server.publishes_keys:
        metadata["jwks_uri"] = f"{server.issuer}/oauth/jwks"
    if server.requires_pushed_requests:
        metadata["require_pushed_authorization_requests"] = True
    if server.devices is not Devices.NONE:
        metadata["device_authorization_endpoint"] = f"{server.issuer}/oauth/device_authorization"  # RFC 8628 section 4
    if server.registration_enabled:
        metadata["registration_endpoint"] = f"{server.issuer}/oauth/register"
    if server.client_documents_enabled:
        # draft-ietf-oauth-client-id-metadata-document section 6
        metadata["client_id_metadata_document_supported"] = True
    if service_documentation is not None:
        metadata["service_documentation"] = service_documentation
    return metadata
