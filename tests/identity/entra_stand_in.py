"""Microsoft Entra, as its metadata, its keys, its answers and its ID tokens (version 2.0) are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from joserfc.jwk import RSAKey
from starlette.applications import Starlette

from tests.identity.stand_ins import OpenIDStandIn

TENANT = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"
OTHER_TENANT = "11111111-2222-4333-8444-555555555555"
CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"
ADA = "aaaaaaaa-0000-4000-8000-000000000001"
HOST = "https://login.microsoftonline.com"


class EntraStandIn(OpenIDStandIn):
    """login.microsoftonline.com, for the tenant or the kind of tenants that an app was made for.

    It knows no `resource`: which API a token is for, the scopes say. graph.microsoft.com is not there.
    """

    answers: Mapping[str, str] = {"session_state": "0f8a2b1c-1111-4111-8111-000000000000"}

    def __init__(self, clock: Callable[[], int], tenant: str = TENANT, *, scope: str = "openid profile email") -> None:
        super().__init__("entra", clock)
        self.tenant = tenant
        self.scope = scope
        self.authorization_endpoint = f"{HOST}/{tenant}/oauth2/v2.0/authorize"
        self.key_issuers: dict[str, str] = {}
        """By key id the issuer that is written beside it, when it is not the one in the metadata."""
        stated = tenant if tenant.count("-") else "{tenantid}"
        self.metadata = {
            "token_endpoint": f"{HOST}/{tenant}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            "jwks_uri": f"{HOST}/{tenant}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"{HOST}/{stated}/v2.0",
            "request_uri_parameter_supported": False,
            "userinfo_endpoint": "https://graph.microsoft.com/oidc/userinfo",
            "authorization_endpoint": self.authorization_endpoint,
            "http_logout_supported": True,
            "tenant_region_scope": None,
            "cloud_instance_name": "microsoftonline.com",
        }
        self.spent = (
            {
                "error": "invalid_grant",
                "error_description": "AADSTS54005: OAuth2 Authorization code was already redeemed.",
                "error_codes": [54005],
                "timestamp": "2026-11-30 12:00:00Z",
                "trace_id": "00000000-0000-0000-0000-000000000000",
                "correlation_id": "00000000-0000-0000-0000-000000000000",
            },
            400,
        )
        self.at(TENANT)

    def at(self, tenant: str, **claims: Any) -> None:
        """Have Ada log in at a tenant."""
        self.issuer = f"{HOST}/{tenant}/v2.0"
        self.claims = {
            "nbf": self.clock(),
            "aio": "AXQAi/8IAAAA",
            "name": "Ada Lovelace",
            "oid": ADA,
            "preferred_username": "ada@example.com",
            "rh": "0.AXYA",
            "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
            "tid": tenant,
            "uti": "fqiBqXLPj0eQa82S-IYFAA",
            "ver": "2.0",
            **claims,
        }

    def hosts(self) -> dict[str, Starlette]:
        """Return its server."""
        paths = {
            f"__{self.tenant}__v2.0__.well-known__openid-configuration": self.configuration,
            f"__{self.tenant}__oauth2__v2.0__token": self.token,
            f"__{self.tenant}__discovery__v2.0__keys": self.keys,
        }
        return {"login_microsoftonline_com": self.served(**paths)}

    def stated(self, key: RSAKey) -> dict[str, Any]:
        """Return a key as it is published: without `alg`, and with whose it is."""
        public = key.as_dict(private=False)
        issuer = self.key_issuers.get(str(key.kid), self.metadata["issuer"])
        more: Mapping[str, Sequence[str] | str] = {"x5t": "x", "x5c": ["MIIC"], "cloud_instance_name": "x"}
        return {**public, **more, "use": "sig", "issuer": issuer}

    def tokens(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """Return the token answer."""
        offline = {"refresh_token": "1.theirs"} if "offline_access" in asked["scope"].split() else {}
        return {**super().tokens(asked), "ext_expires_in": 3599, **offline}
