"""Access tokens of issuers elsewhere: what their claims have to be, and what they say (RFC 9068, RFC 8725, RFC 7519).

The shapes differ: RFC 9068 says what an access token looks like, and most issuers are older than it. What a token is
trusted for does not differ: its issuer, its audience and its times are checked in each of them, and by `Claims` an
operator says where the rest stands.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import field
from typing import Any, Final, Protocol, runtime_checkable

from gatepost.late_dataclass import dataclass
from gatepost.resource import bearer
from gatepost.resource.bearer import TokenRefused
from gatepost.resource.principal import API_KEY_SUBJECT
from gatepost.tokens.claims import found

LEEWAY: Final = 60
"""Seconds by which the clocks of an issuer and of this server may differ."""
TOKEN_TYPES: Final = frozenset({None, "JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"})
"""What `typ` of an access token's header may be (RFC 9068 section 2.1); issuers older than that write `JWT` or none."""
_DECLARED: Final = frozenset({"at+jwt", "AT+JWT", "application/at+jwt"})
_LONGEST_SUBJECT: Final = 255
_NOT_SUBJECTS: Final = frozenset({API_KEY_SUBJECT, "anonymous"})
"""What calls without a person are known by."""
_OF_AN_ID_TOKEN: Final = ("at_hash", "c_hash", "s_hash", "nonce")  # OpenID Connect Core sections 2 and 3.3.2.11
_OF_THE_TOKEN: Final = frozenset(
    {"iss", "aud", "azp", "exp", "iat", "nbf", "jti", "scope", "scp", "sid", "typ", "nonce", "active", "token_type"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInfo:
    """What a token was verified to say."""

    subject: str
    """Whom it is about, as its issuer knows them: a person, or the client itself."""
    scopes: Sequence[str] = ()
    expires_at: int | None = None
    """Seconds UTC; None where it is not known."""
    client_id: str | None = None
    audience: str | None = None
    """The resource it is for. Where that is said, it has to be this one."""
    roles: Sequence[str] = ()
    display_name: str | None = None
    email: str | None = None
    email_verified: bool = False
    groups: Sequence[str] = ()
    claims: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What else is said, for tools to read: JSON."""

    def __post_init__(self) -> None:
        subject: object = self.subject  # it comes from somebody else's code, which need not be typed
        if not isinstance(subject, str) or not _is_subject(subject):
            raise ValueError(f"subject= takes a printable text of 1 to {_LONGEST_SUBJECT} characters")
        for name in ("scopes", "roles", "groups"):
            value = getattr(self, name)
            if isinstance(value, str) or not all(isinstance(text, str) for text in value):
                raise TypeError(f"{name}= takes a list of texts")


@runtime_checkable
class TokenValidator(Protocol):
    """Says what a bearer token is worth, where no `ExternalIssuer` does."""

    def validate_token(self, token: str, resource: str | None = None) -> TokenInfo | Awaitable[TokenInfo | None] | None:
        """Return what a token says, or None where it does not count.

        Args:
            token: as it was sent: a shape that RFC 6750 section 2.1 allows, and nothing more is known of it. It is
                never one of this server's own.
            resource: the canonical URL of the endpoint that it was sent to.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Where an issuer's tokens say what. Each is the name of a claim, or a path with dots, or several of them.

    Of scopes, roles and groups all that are named count together, each a list or a text with blanks; of the others the
    first that is there.
    """

    scopes: str | Sequence[str] = ("scope", "scp")
    roles: str | Sequence[str] = ("roles", "realm_access.roles")
    groups: str | Sequence[str] = ("groups",)
    subject: str | Sequence[str] = ("sub",)
    client_id: str | Sequence[str] = ("client_id", "azp", "appid", "cid")
    display_name: str | Sequence[str] = ("name", "preferred_username", "username")
    audience: str | Sequence[str] = ("aud",)
    """Amazon Cognito's access tokens have none, and are known by `client_id` alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """What is asked of the tokens of one issuer."""

    issuer: str
    audience: frozenset[str] = frozenset()
    """Any of these; none of them stands for the resource itself."""
    claims: Claims = field(default_factory=Claims)
    verifies_issuer: bool = True
    verifies_audience: bool = True
    verifies_expiry: bool = True
    needs_expiry: bool = True
    """Whether `exp` has to be there; an issuer that is asked about each token need not say it."""
    takes_id_tokens: bool = False
    """Whether an ID token is taken for an access token, of issuers whose access tokens are opaque."""

    def check(self, header_type: object, claims: Mapping[str, Any], *, resource: str, now: int) -> None:
        """Refuse a token whose claims do not fit, whoever signed it.

        Args:
            header_type: `typ` of its header.
            claims: its claims.
            resource: the canonical URL of the endpoint that it was sent to.
            now: seconds UTC.

        Raises:
            TokenRefused: it does not count.
        """
        if self.verifies_issuer and claims.get("iss") != self.issuer:
            raise TokenRefused(bearer.CLAIMS_INVALID)
        if not self.takes_id_tokens and _is_of_another_kind(header_type, claims):
            raise TokenRefused(bearer.WRONG_KIND)
        if self.verifies_audience and not (self.audience or {resource}) & _audience(claims, self.claims.audience):
            raise TokenRefused(bearer.ANOTHER_RESOURCE)
        self._check_times(claims, now)
        # Whoever sends it would have to prove that they hold a key (RFC 7800), and nothing here asks for that.
        if "cnf" in claims:
            raise TokenRefused(bearer.WRONG_KIND)
        subject = _first(claims, self.claims.subject)
        if subject is None or not _is_subject(subject):
            raise TokenRefused(bearer.CLAIMS_INVALID)

    def read(self, claims: Mapping[str, Any]) -> TokenInfo:
        """Return what a token says whose claims have been checked."""
        names, email = self.claims, claims.get("email")
        return TokenInfo(
            subject=_first(claims, names.subject) or "",
            scopes=_words(claims, names.scopes),
            expires_at=int(claims["exp"]) if "exp" in claims else None,
            client_id=_first(claims, names.client_id),
            roles=_words(claims, names.roles),
            display_name=_first(claims, names.display_name),
            email=email if isinstance(email, str) else None,
            email_verified=claims.get("email_verified") is True,
            groups=_words(claims, names.groups),
            claims={name: value for name, value in claims.items() if name not in _OF_THE_TOKEN},
        )

    def _check_times(self, claims: Mapping[str, Any], now: int) -> None:
        if not all(_is_time(claims[name]) for name in ("exp", "nbf", "iat") if name in claims):
            raise TokenRefused(bearer.CLAIMS_INVALID)
        if self.verifies_expiry:
            if "exp" not in claims and self.needs_expiry:
                raise TokenRefused(bearer.CLAIMS_INVALID)
            if "exp" in claims and claims["exp"] + LEEWAY <= now:
                raise TokenRefused(bearer.EXPIRED)
        if max(claims.get("nbf", now), claims.get("iat", now)) > now + LEEWAY:
            raise TokenRefused(bearer.CLAIMS_INVALID)


def _is_of_another_kind(header_type: object, claims: Mapping[str, Any]) -> bool:
    """Say whether it is an ID token or a refresh token, as far as issuers say so, each in its own way."""
    use, kind = claims.get("token_use"), claims.get("typ")
    # Amazon Cognito, and Ory when it is asked; Keycloak
    if use not in (None, "access", "access_token") or kind not in (None, "Bearer"):
        return True
    is_declared = header_type in _DECLARED or use is not None or kind == "Bearer"
    return not is_declared and any(name in claims for name in _OF_AN_ID_TOKEN)


def _audience(claims: Mapping[str, Any], names: str | Sequence[str]) -> frozenset[str]:
    for name in _listed(names):
        value = found(claims, name)
        if isinstance(value, str):
            return frozenset({value})
        if isinstance(value, list):
            # One that is not even a text makes it a list of something else (RFC 7519 section 4.1.3).
            return frozenset(value) if all(isinstance(each, str) for each in value) else frozenset()
    return frozenset()


def _is_time(value: object) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))


def _is_subject(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_SUBJECT and text.isprintable() and text not in _NOT_SUBJECTS


def _first(claims: Mapping[str, Any], names: str | Sequence[str]) -> str | None:
    values = (found(claims, name) for name in _listed(names))
    return next((value for value in values if isinstance(value, str) and value), None)


def _words(claims: Mapping[str, Any], names: str | Sequence[str]) -> tuple[str, ...]:
    words: dict[str, None] = {}
    for name in _listed(names):
        value = found(claims, name)
        texts = value.split() if isinstance(value, str) else value if isinstance(value, list) else ()
        words |= dict.fromkeys(text for text in texts if isinstance(text, str) and text)
    return tuple(words)


def _listed(names: str | Sequence[str]) -> Sequence[str]:
    return (names,) if isinstance(names, str) else names
