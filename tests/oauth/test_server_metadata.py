from __future__ import annotations

from gatepost.oauth.policy import AuthorizationServer, Lifetimes
from gatepost.oauth.server_metadata import server_metadata

SERVER = AuthorizationServer(issuer="https://mcp.example.com", lifetimes=Lifetimes())
METHODS = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]
ALGORITHMS = ["ES256", "ES384", "RS256", "PS256", "EdDSA", "Ed25519"]


def test_the_metadata_says_all_that_is_true() -> None:
    assert server_metadata(
        SERVER,
        grant_types=("authorization_code", "refresh_token"),
        scopes=("notes:read", "mail:read", "notes:read"),
        resources=("https://mcp.example.com/mcp",),
        service_documentation="https://mcp.example.com/docs",
    ) == {
        "issuer": "https://mcp.example.com",
        "authorization_endpoint": "https://mcp.example.com/oauth/authorize",
        "token_endpoint": "https://mcp.example.com/oauth/token",
        "pushed_authorization_request_endpoint": "https://mcp.example.com/oauth/par",
        "registration_endpoint": "https://mcp.example.com/oauth/register",
        "scopes_supported": ["notes:read", "mail:read"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": METHODS,
        "revocation_endpoint": "https://mcp.example.com/oauth/revoke",
        "revocation_endpoint_auth_methods_supported": METHODS,
        "introspection_endpoint": "https://mcp.example.com/oauth/introspect",
        "introspection_endpoint_auth_methods_supported": METHODS[1:],
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "revocation_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "introspection_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": ALGORITHMS,
        "authorization_response_iss_parameter_supported": True,
        "protected_resources": ["https://mcp.example.com/mcp"],
        "service_documentation": "https://mcp.example.com/docs",
    }


def test_the_metadata_does_not_claim_what_is_switched_off() -> None:
    server = AuthorizationServer(issuer="https://mcp.example.com", lifetimes=Lifetimes(), registration_enabled=False)
    metadata = server_metadata(server, grant_types=(), scopes=(), resources=(), service_documentation=None)
    assert "registration_endpoint" not in metadata
    assert "service_documentation" not in metadata


def test_the_metadata_says_when_clients_may_be_known_by_a_document() -> None:
    server = AuthorizationServer(issuer="https://mcp.example.com", lifetimes=Lifetimes(), client_documents_enabled=True)
    metadata = server_metadata(server, grant_types=(), scopes=(), resources=(), service_documentation=None)
    assert metadata["client_id_metadata_document_supported"] is True


def test_the_metadata_says_where_the_keys_are_only_where_tokens_are_signed() -> None:
    server = AuthorizationServer(issuer="https://mcp.example.com", lifetimes=Lifetimes(), publishes_keys=True)
    metadata = server_metadata(server, grant_types=(), scopes=(), resources=(), service_documentation=None)
    assert metadata["jwks_uri"] == "https://mcp.example.com/oauth/jwks"
    assert metadata | {"jwks_uri": None} == {
        **server_metadata(SERVER, grant_types=(), scopes=(), resources=(), service_documentation=None),
        "jwks_uri": None,
    }
