"""What the authorization server remembers: plain immutable records (RFC 6749 section 1, RFC 7591 section 2).

All times are whole seconds UTC (Unix time). Everything called `…_fingerprint` is the SHA-256 of a secret
(`gatepost.tokens.opaque.fingerprint`); no record holds a usable secret.
"""

from __future__ import annotations

from dataclasses import fields
from enum import StrEnum
from typing import Any

from gatepost.late_dataclass import dataclass


class ClientOrigin(StrEnum):
    """How a client became known."""

    DYNAMIC = "dynamic"
    """It registered itself (RFC 7591). Without a grant it expires."""
    PREREGISTERED = "preregistered"
    """The operator registered it."""
    SETTINGS = "settings"
    """The operator's settings name it (OAUTH_CLIENTS_FILE). It is as they say, and goes with its entry."""
    DOCUMENT = "document"
    """It is known by its metadata document. The store holds it only if an operator has disabled it."""


@dataclass(frozen=True, slots=True)
class ClientMetadata:
    """What a client says about itself, validated (RFC 7591 section 2)."""

    client_name: str
    redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...]
    response_types: tuple[str, ...]
    token_endpoint_auth_method: str
    application_type: str
    scope: str | None
    """The scopes the client registered for, space-separated; None means: whatever the server's default set is."""
    client_uri: str | None
    logo_uri: str | None
    jwks: str | None
    """Its public keys as the JSON text of a JWK set (RFC 7517), for `private_key_jwt`."""
    jwks_uri: str | None
    """Where its public keys are, instead of `jwks`."""
    dpop_bound_access_tokens: bool
    """Whether it gets tokens for a DPoP proof alone, bound to its key (RFC 9449 section 5.2)."""

    @property
    def needs_secret(self) -> bool:
        """Whether the client authenticates with a secret, which is then to be issued."""
        return self.token_endpoint_auth_method.startswith("client_secret_")

    def metadata(self) -> dict[str, Any]:
        """Return the metadata alone, by name."""
        return {field.name: getattr(self, field.name) for field in fields(ClientMetadata)}


@dataclass(frozen=True, slots=True)
class Client(ClientMetadata):
    """A registered client."""

    client_id: str
    secret_fingerprint: bytes | None
    created_at: int
    origin: ClientOrigin = ClientOrigin.DYNAMIC
    registration_token_fingerprint: bytes | None = None
    """Of the registration access token (RFC 7592); None when the client cannot manage its registration."""
    disabled_at: int | None = None
    refresh_reuse: int | None = None
    """The operator's `Lifetimes.refresh_reuse` for this client alone; None where the server's holds."""
    requires_pushed_requests: bool = False
    """Whether its authorization requests count only if they were pushed (RFC 9126 section 6)."""
    exchange_from: tuple[str, ...] = ()
    """The paths of the endpoints of which it may exchange tokens (RFC 8693): those that it is sent."""
    exchange_to: tuple[str, ...] = ()
    """The paths of the endpoints for which it may get others for them."""


class TransactionState(StrEnum):
    """Where one authorization request stands."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    REDEEMED = "redeemed"
    """Approved, and its code has been used. Never stored: it is read from the code."""


@dataclass(frozen=True, slots=True)
class AuthorizationTransaction:
    """One validated authorization request, waiting for login and consent (RFC 6749 section 4.1.1).

    Login and consent decide on this record, never on what a form sends. It belongs to the browser that began it.
    """

    transaction_id: str
    browser_id: str
    client_id: str
    redirect_uri: str
    redirect_uri_was_sent: bool
    """Whether the request named its redirect URI: if so, the token request must name it again (RFC 6749 4.1.3)."""
    scopes: tuple[str, ...]
    resource: str
    code_challenge: str
    client_state: str | None
    """The client's `state`, byte for byte; None when it sent none."""
    created_at: int
    expires_at: int
    state: TransactionState = TransactionState.PENDING
    started_by_user: bool = False
    """Whether no site made a browser send it, and the client did not ask for the question."""
    query: str | None = None
    """The request's query as it came, where the login provider reads it."""
    dpop_jkt: str | None = None
    """The thumbprint of the key that the code is to be bound to (RFC 9449 section 10); None for any."""
    device_code_fingerprint: bytes | None = None
    """Of the request of a device (RFC 8628) that is decided here; there is no redirect URI then."""
    user_code: str | None = None
    """Which the device shows."""


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """A code that was issued for an approved transaction (RFC 6749 section 4.1.2)."""

    code_fingerprint: bytes
    transaction_id: str
    client_id: str
    redirect_uri: str
    redirect_uri_was_sent: bool
    scopes: tuple[str, ...]
    resource: str
    code_challenge: str
    subject: str
    created_at: int
    expires_at: int
    failed_attempts: int = 0
    grant_id: str | None = None
    """The grant that redeeming it created; None while it is unspent."""
    dpop_jkt: str | None = None
    """The thumbprint of the key without which it cannot be redeemed; None where it is bound to none."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One approval on one device: the unit of revocation."""

    grant_id: str
    subject: str
    client_id: str
    resource: str
    scopes: tuple[str, ...]
    created_at: int
    expires_at: int
    """Absolute end of the grant, whatever is refreshed."""
    revoked_at: int | None = None
    revoked_reason: str | None = None
    redirect_uri: str | None = None
    """Where the code went that began it; None where none did."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token's row."""

    token_fingerprint: bytes
    grant_id: str
    scopes: tuple[str, ...]
    created_at: int
    expires_at: int
    dpop_jkt: str | None = None
    """The thumbprint of the key that it is bound to (RFC 9449 section 6); None for a bearer token."""


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token's row. The tokens of one grant form one family."""

    token_fingerprint: bytes
    grant_id: str
    created_at: int
    expires_at: int
    spent_at: int | None = None
    successor_fingerprint: bytes | None = None
    sealed_successor: bytes | None = None
    """The successor pair (access and refresh token), sealed under this very token, so that a lost response can be
    answered again and a stolen database still opens nothing."""
    dpop_jkt: str | None = None
    """The thumbprint of the key without which it cannot be used (RFC 9449 section 5); None for none."""


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """The rows that one answer of the token endpoint adds, all in one atomic operation."""

    access: AccessToken
    refresh: RefreshToken | None
