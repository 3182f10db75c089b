"""Google, as its discovery document, its answers and its ID tokens are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.applications import Starlette

from tests.identity.stand_ins import CLIENT_ID, OpenIDStandIn

ADA = {
    "sub": "110169484474386276334",
    "azp": CLIENT_ID,
    "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q",
    "email": "ada@gmail.com",
    "email_verified": True,
    "name": "Ada Lovelace",
    "picture": "https://lh3.googleusercontent.com/a/photo",
    "given_name": "Ada",
    "family_name": "Lovelace",
}


class GoogleStandIn(OpenIDStandIn):
    """accounts.google.com and the servers beside it."""

    issuer = "https://accounts.google.com"
    authorization_endpoint = "https://accounts.google.com/o/oauth2/v2/auth"
    by_header = True
    may: Mapping[str, Sequence[str]] = {
        "prompt": ("select_account", "consent", "select_account consent"),
        "access_type": ("offline", "online"),
        "hd": ("example.com",),
    }
    answers: Mapping[str, str] = {"iss": issuer, "authuser": "0", "prompt": "none"}
    spent = ({"error": "invalid_grant", "error_description": "Malformed auth code."}, 400)

    def __init__(self, clock: Callable[[], int]) -> None:
        super().__init__("google", clock)
        self.claims = dict(ADA)
        self.has_agreed = False
        self.given: list[dict[str, Any]] = []
        self.metadata = {
            "issuer": self.issuer,
            "authorization_endpoint": self.authorization_endpoint,
            "device_authorization_endpoint": "https://oauth2.googleapis.com/device/code",
            "token_endpoint": "https://oauth2.googleapis.com/token",
            "userinfo_endpoint": "https://openidconnect.googleapis.com/v1/userinfo",
            "revocation_endpoint": "https://oauth2.googleapis.com/revoke",
            "jwks_uri": "https://www.googleapis.com/oauth2/v3/certs",
            "response_types_supported": ["code", "token", "id_token", "none"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "email", "profile"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "code_challenge_methods_supported": ["plain", "S256"],
            "authorization_response_iss_parameter_supported": True,
        }

    def hosts(self) -> dict[str, Starlette]:
        """Return its four servers."""
        return {
            "accounts_google_com": self.served(**{"__.well-known__openid-configuration": self.configuration}),
            "oauth2_googleapis_com": self.served(__token=self.token),
            "www_googleapis_com": self.served(__oauth2__v3__certs=self.keys),
            "openidconnect_googleapis_com": self.served(__v1__userinfo=self.user_info),
        }

    def tokens(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """Return the token answer: a refresh token for who agrees, which people are asked once unless it is said."""
        answer = super().tokens(asked)
        agrees = not self.has_agreed or "consent" in asked.get("prompt", "").split()
        if asked.get("access_type") == "offline" and agrees:
            answer |= {"refresh_token": "1//0theirs", "refresh_token_expires_in": 604799}
        self.has_agreed = True
        self.given.append(answer)
        return answer
