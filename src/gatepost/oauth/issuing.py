"""Issuing: the grant and the tokens that one answer of the token endpoint hands out (RFC 6749 sections 1.5 and 5.1).

Refresh tokens are given by the server's policy, not because a scope was asked for: every client that is registered for
the grant type `refresh_token` gets one, whatever its scopes are. A registration that names no grant types is one for
both, so only a client that says it cannot refresh goes without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from typing import Protocol

from gatepost.late_dataclass import dataclass
from gatepost.oauth.policy import Lifetimes
from gatepost.oauth.records import AccessToken, AuthorizationCode, Client, Grant, IssuedTokens, RefreshToken
from gatepost.oauth.token_exchange import act_claim
from gatepost.tokens.opaque import RandomBytes, SecretKind, identifier, mint, token_fingerprint

LONGEST_SIGNED_TOKEN = 2048
"""Characters; resource servers refuse more, ours too."""
SIGNED_TOKEN_TYPE = "at+jwt"
"""The header's `typ` (RFC 9068 section 2.1): what is no access token does not pass for one."""


class SignAccessToken(Protocol):
    """Makes a signed access token (RFC 9068)."""

    def __call__(
        self,
        grant: Grant,
        *,
        scopes: tuple[str, ...],
        token_id: str,
        issued_at: int,
        expires_at: int,
        dpop_jkt: str | None = None,
        actors: Sequence[str] = (),
    ) -> str:
        """Return the token; times are seconds UTC, and `dpop_jkt` is the thumbprint of the key that it is bound to.

        `actors` are the subjects of those who act with it for its own, the current one first (RFC 8693 section 4.1).
        """


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one client gets to hold. The only place where minted tokens stand in clear, so nothing prints them."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: int
    """When the access token ends, seconds UTC."""
    scopes: tuple[str, ...]
    """The scopes of the access token."""
    is_bound: bool = False
    """Whether the access token is bound to a key (RFC 9449 section 5)."""
    issued_type: str | None = None
    """What the answer to a token exchange says that the access token is (RFC 8693 section 2.2.1); None elsewhere."""

    def answer(self, *, now: int) -> dict[str, str | int]:
        """Return the members of the JSON answer (RFC 6749 section 5.1).

        `scope` is always there: clients that asked for less or more than they got would otherwise guess.
        """
        members: dict[str, str | int] = {
            "access_token": self.access_token,
            "token_type": "DPoP" if self.is_bound else "Bearer",
            "expires_in": max(0, self.expires_at - now),
        }
        if self.refresh_token is not None:
            members["refresh_token"] = self.refresh_token
        if self.issued_type is not None:
            members["issued_token_type"] = self.issued_type
        return members | {"scope": " ".join(self.scopes)}


def begin_grant(code: AuthorizationCode, *, now: int, lifetimes: Lifetimes, random_bytes: RandomBytes) -> Grant:
    """Return the grant that redeeming `code` creates."""
    return Grant(
        grant_id=identifier("grant_", random_bytes),
        subject=code.subject,
        client_id=code.client_id,
        resource=code.resource,
        scopes=code.scopes,
        created_at=now,
        expires_at=now + lifetimes.grant,
        redirect_uri=code.redirect_uri,
    )


def gets_refresh_token(client: Client) -> bool:
    """Say whether tokens for this client come with a refresh token."""
    return "refresh_token" in client.grant_types


def mint_tokens(
    grant: Grant,
    *,
    scopes: tuple[str, ...],
    with_refresh_token: bool,
    now: int,
    lifetimes: Lifetimes,
    random_bytes: RandomBytes,
    sign: SignAccessToken | None = None,
    dpop_jkt: str | None = None,
    refresh_jkt: str | None = None,
    actors: Sequence[str] = (),
) -> tuple[Tokens, IssuedTokens]:
    """Return new tokens of a grant, and the rows under which the store knows them.

    Neither token outlives the grant. The access token has `scopes`, the grant's or fewer; the refresh token keeps the
    grant's (RFC 6749 section 6). `sign` makes an access token that others can verify, None an opaque one. The store
    keeps a row of either, so that both are revoked alike, and a stolen signing key makes no token that counts here.
    `dpop_jkt` and `refresh_jkt` are the thumbprints of the keys that the two are bound to; None binds to none. `actors`
    act with the access token (RFC 8693 section 4.1).
    """
    expires_at = min(now + lifetimes.access_token, grant.expires_at)
    access_token = mint(SecretKind.ACCESS_TOKEN, random_bytes)
    if sign is not None:
        token_id = identifier("", random_bytes)
        signed = sign(
            grant,
            scopes=scopes,
            token_id=token_id,
            issued_at=now,
            expires_at=expires_at,
            dpop_jkt=dpop_jkt,
            actors=actors,
        )
        # With hundreds of scopes it would not fit a header; then an opaque one is of more use.
        access_token = signed if len(signed) <= LONGEST_SIGNED_TOKEN else access_token
    access = AccessToken(
        token_fingerprint=token_fingerprint(access_token, is_bound=dpop_jkt is not None),
        grant_id=grant.grant_id,
        scopes=scopes,
        created_at=now,
        expires_at=expires_at,
        dpop_jkt=dpop_jkt,
    )
    refresh_token: str | None = None
    refresh: RefreshToken | None = None
    if with_refresh_token:
        refresh_token = mint(SecretKind.REFRESH_TOKEN, random_bytes)
        refresh = RefreshToken(
            token_fingerprint=token_fingerprint(refresh_token, is_bound=refresh_jkt is not None),
            grant_id=grant.grant_id,
            created_at=now,
            expires_at=min(now + lifetimes.refresh_token, grant.expires_at),
            dpop_jkt=refresh_jkt,
        )
    tokens = Tokens(access_token, refresh_token, access.expires_at, scopes, is_bound=dpop_jkt is not None)
    return tokens, IssuedTokens(access, refresh)


def mint_single_token(
    *,
    subject: str,
    client_id: str,
    resource: str,
    scopes: tuple[str, ...],
    now: int,
    lifetime: int,
    random_bytes: RandomBytes,
    sign: SignAccessToken | None = None,
) -> tuple[Grant, Tokens, IssuedTokens]:
    """Return an access token that an operator makes without a login, its grant, and the rows to keep.

    Nothing can be refreshed there, so the grant ends with its token, `lifetime` seconds from `now`.
    """
    grant = Grant(
        grant_id=identifier("grant_", random_bytes),
        subject=subject,
        client_id=client_id,
        resource=resource,
        scopes=scopes,
        created_at=now,
        expires_at=now + lifetime,
    )
    lifetimes = replace(Lifetimes(), access_token=lifetime)
    tokens, rows = mint_tokens(
        grant,
        scopes=scopes,
        with_refresh_token=False,
        now=now,
        lifetimes=lifetimes,
        random_bytes=random_bytes,
        sign=sign,
    )
    return grant, tokens, rows


def access_token_claims(
    grant: Grant,
    *,
    issuer: str,
    scopes: tuple[str, ...],
    token_id: str,
    issued_at: int,
    expires_at: int,
    dpop_jkt: str | None = None,
    actors: Sequence[str] = (),
) -> dict[str, object]:
    """Return the claims of a signed access token, which says itself what it allows (RFC 9068 section 2.2).

    `grant_id` is ours: what was allowed once, and is revoked as one. `cnf` says to which key the token is bound, if it
    is (RFC 9449 section 6.1), and `act` who acts with it, if somebody does (RFC 8693 section 4.1).
    """
    bound: dict[str, object] = {} if dpop_jkt is None else {"cnf": {"jkt": dpop_jkt}}
    acting: dict[str, object] = {"act": act_claim(actors)} if actors else {}
    return {
        "iss": issuer,
        "sub": grant.subject,
        "aud": grant.resource,
        "client_id": grant.client_id,
        "scope": " ".join(scopes),
        "jti": token_id,
        "iat": issued_at,
        "exp": expires_at,
        "grant_id": grant.grant_id,
        **bound,
        **acting,
    }
