"""Errors of the authorization server, one class per wire code (RFC 6749 sections 4.1.2.1 and 5.2, RFC 7591, RFC 8707).

    OAuthError
    ├── InvalidRequest            invalid_request            400
    ├── InvalidClient             invalid_client             401
    ├── InvalidGrant              invalid_grant              400
    ├── UnauthorizedClient        unauthorized_client        400
    ├── UnsupportedGrantType      unsupported_grant_type     400
    ├── UnsupportedResponseType   unsupported_response_type  400
    ├── InvalidScope              invalid_scope              400
    ├── InvalidTarget             invalid_target             400  (RFC 8707 section 2)
    ├── AccessDenied              access_denied              400
    ├── AuthorizationPending      authorization_pending      400  (RFC 8628 section 3.5)
    ├── SlowDown                  slow_down                  400  (RFC 8628 section 3.5)
    ├── ExpiredToken              expired_token              400  (RFC 8628 section 3.5)
    ├── RegistrationDisabled      access_denied              403
    ├── LoginRequired             login_required             400  (OpenID Connect Core section 3.1.2.6)
    ├── InvalidRedirectUri        invalid_redirect_uri       400  (RFC 7591 section 3.2.2)
    ├── InvalidClientMetadata     invalid_client_metadata    400  (RFC 7591 section 3.2.2)
    ├── InvalidToken              invalid_token              401  (RFC 6750 section 3.1)
    ├── InvalidDpopProof          invalid_dpop_proof         400  (RFC 9449 section 5)
    ├── UseDpopNonce              use_dpop_nonce             400  (RFC 9449 section 8)
    ├── ServerError               server_error               500
    ├── TemporarilyUnavailable    temporarily_unavailable    503
    └── TooManyRequests           temporarily_unavailable    429  (RFC 6585 section 4)

Each raise names a stable `reason` (see `reasons.py`) beside the wire code: many causes share `invalid_grant`, and an
operator has to tell them apart. Descriptions are for the client's developer; they never repeat a secret or raw input.
"""

from __future__ import annotations

from typing import ClassVar

from gatepost.oauth.reasons import Reason


class OAuthError(Exception):
    """Base: a refusal with its wire code, HTTP status, reason and a sentence that says what to do."""

    error: ClassVar[str]
    status: ClassVar[int] = 400
    retry_after: int | None = None
    """Seconds after which it is worth trying again, where that is known."""

    def __init__(self, reason: Reason, description: str) -> None:
        super().__init__(f"{self.error}: {description} [{reason.value}]")
        self.reason = reason
        self.description = description


class InvalidRequest(OAuthError):
    """A parameter is missing, repeated or malformed."""

    error = "invalid_request"


class InvalidClient(OAuthError):
    """The client is unknown or failed to authenticate."""

    error = "invalid_client"
    status = 401


class InvalidGrant(OAuthError):
    """The code or refresh token is unknown, expired, spent, revoked or somebody else's."""

    error = "invalid_grant"


class UnauthorizedClient(OAuthError):
    """The client is not registered for this grant type."""

    error = "unauthorized_client"


class UnsupportedGrantType(OAuthError):
    """The server does not know this grant type."""

    error = "unsupported_grant_type"


class UnsupportedResponseType(OAuthError):
    """The server answers `response_type=code` only."""

    error = "unsupported_response_type"


class InvalidScope(OAuthError):
    """None of the scopes asked for can be granted, or they are wider than what was granted."""

    error = "invalid_scope"


class InvalidTarget(OAuthError):
    """The resource is not one of this server's."""

    error = "invalid_target"


class AccessDenied(OAuthError):
    """The user said no."""

    error = "access_denied"


class AuthorizationPending(OAuthError):
    """Nobody has answered yet what a device asked for."""

    error = "authorization_pending"


class SlowDown(OAuthError):
    """As `AuthorizationPending`, and the client asks too often."""

    error = "slow_down"


class ExpiredToken(OAuthError):
    """Nobody has answered in time what a device asked for."""

    error = "expired_token"


class RegistrationDisabled(OAuthError):
    """Clients cannot register themselves at this server."""

    error = "access_denied"
    status = 403


class LoginRequired(OAuthError):
    """`prompt=none` was asked for and nobody is logged in, or consent is needed."""

    error = "login_required"


class InvalidRedirectUri(OAuthError):
    """A redirect URI cannot be registered."""

    error = "invalid_redirect_uri"


class InvalidClientMetadata(OAuthError):
    """Client metadata is malformed or contradicts itself."""

    error = "invalid_client_metadata"


class InvalidToken(OAuthError):
    """The token for registering, or for managing a registration, is missing or wrong."""

    error = "invalid_token"
    status = 401


class InvalidDpopProof(OAuthError):
    """A DPoP proof is missing where it is needed, or proves nothing."""

    error = "invalid_dpop_proof"


class UseDpopNonce(OAuthError):
    """A DPoP proof needs a nonce of this server, which the answer brings along."""

    error = "use_dpop_nonce"

    def __init__(self, nonce: str) -> None:
        super().__init__(
            Reason.DPOP_NONCE_NEEDED,
            "The DPoP proof needs the nonce of this answer's DPoP-Nonce header; send it again.",
        )
        self.nonce = nonce


class ServerError(OAuthError):
    """A fault of ours."""

    error = "server_error"
    status = 500


class TemporarilyUnavailable(OAuthError):
    """The store cannot answer now; try again."""

    error = "temporarily_unavailable"
    status = 503


class TooManyRequests(OAuthError):
    """Asked too often; try again in `retry_after` seconds.

    OAuth has no code for it. This one makes no client throw its registration or its tokens away.
    """

    error = "temporarily_unavailable"
    status = 429
    retry_after: int

    def __init__(self, reason: Reason, description: str, *, retry_after: int, is_first: bool = True) -> None:
        super().__init__(reason, description)
        self.retry_after = retry_after
        self.is_first = is_first
        """Whether this refusal begins a row of them: the one that the audit trail keeps."""
