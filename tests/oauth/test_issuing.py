from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.oauth.issuing import (
    SIGNED_TOKEN_TYPE,
    Tokens,
    access_token_claims,
    begin_grant,
    gets_refresh_token,
    mint_tokens,
)
from gatepost.oauth.policy import Lifetimes
from gatepost.oauth.records import AccessToken, AuthorizationCode, Client, Grant, IssuedTokens, RefreshToken
from gatepost.tokens.opaque import RandomBytes, SecretKind, fingerprint, looks_like

CODE = AuthorizationCode(
    code_fingerprint=b"c" * 32,
    transaction_id="transaction-1",
    client_id="client-1",
    redirect_uri="https://app.example/callback",
    redirect_uri_was_sent=True,
    scopes=("notes:read", "notes:write"),
    resource="https://mcp.example.com/mcp",
    code_challenge="x",
    subject="user-1",
    created_at=1000,
    expires_at=1600,
)
LIFETIMES = Lifetimes(access_token=3600, refresh_token=86400, grant=1_000_000)


def counting() -> RandomBytes:
    """Return randomness that is different at each call and the same in each run."""
    calls = iter(range(256))
    return lambda count: bytes([next(calls)]) * count


GRANT = begin_grant(CODE, now=1100, lifetimes=LIFETIMES, random_bytes=counting())


def test_a_grant_carries_what_the_code_carried_and_ends_when_policy_says() -> None:
    grant = begin_grant(CODE, now=1100, lifetimes=LIFETIMES, random_bytes=counting())
    assert grant == Grant(
        grant_id="grant_AAAAAAAAAAAAAAAAAAAAAA",
        subject="user-1",
        client_id="client-1",
        resource="https://mcp.example.com/mcp",
        scopes=("notes:read", "notes:write"),
        created_at=1100,
        expires_at=1_001_100,
        redirect_uri="https://app.example/callback",
    )


def test_minted_tokens_and_their_rows_belong_together() -> None:
    tokens, rows = mint_tokens(
        GRANT,
        scopes=("notes:read",),
        with_refresh_token=True,
        now=1100,
        lifetimes=LIFETIMES,
        random_bytes=counting(),
    )
    assert looks_like(SecretKind.ACCESS_TOKEN, tokens.access_token)
    assert tokens.refresh_token is not None
    assert looks_like(SecretKind.REFRESH_TOKEN, tokens.refresh_token)
    assert (tokens.expires_at, tokens.scopes) == (4700, ("notes:read",))
    assert rows == IssuedTokens(
        AccessToken(fingerprint(tokens.access_token), GRANT.grant_id, ("notes:read",), 1100, 4700),
        RefreshToken(fingerprint(tokens.refresh_token), GRANT.grant_id, 1100, 87500),
    )


def test_a_client_that_cannot_refresh_gets_no_refresh_token() -> None:
    tokens, rows = mint_tokens(
        GRANT,
        scopes=GRANT.scopes,
        with_refresh_token=False,
        now=1100,
        lifetimes=LIFETIMES,
        random_bytes=counting(),
    )
    assert (tokens.refresh_token, rows.refresh) == (None, None)


@pytest.mark.parametrize(("length", "is_signed"), [(2048, True), (2049, False)])
def test_a_signed_access_token_is_given_where_it_fits_a_header(length: int, *, is_signed: bool) -> None:
    said: list[tuple[Any, ...]] = []

    def sign(
        grant: Grant,
        *,
        scopes: tuple[str, ...],
        token_id: str,
        issued_at: int,
        expires_at: int,
        dpop_jkt: str | None = None,
        actors: Sequence[str] = (),
    ) -> str:
        assert (dpop_jkt, actors) == (None, ())
        said.append((grant, scopes, token_id, issued_at, expires_at))
        return "s" * length

    tokens, rows = mint_tokens(
        GRANT,
        scopes=("notes:read",),
        with_refresh_token=False,
        now=1100,
        lifetimes=LIFETIMES,
        random_bytes=counting(),
        sign=sign,
    )
    assert said == [(GRANT, ("notes:read",), "AQEBAQEBAQEBAQEBAQEBAQ", 1100, 4700)]
    assert (tokens.access_token == "s" * length) is is_signed
    assert looks_like(SecretKind.ACCESS_TOKEN, tokens.access_token) is not is_signed
    assert rows.access == AccessToken(
        fingerprint(tokens.access_token), GRANT.grant_id, ("notes:read",), created_at=1100, expires_at=4700
    )


def test_a_signed_access_token_says_itself_what_it_allows() -> None:
    """RFC 9068 section 2.2."""
    assert SIGNED_TOKEN_TYPE == "at+jwt"
    claims = access_token_claims(
        GRANT,
        issuer="https://mcp.example.com",
        scopes=("notes:read", "notes:write"),
        token_id="token-1",
        issued_at=1100,
        expires_at=4700,
    )
    assert claims == {
        "iss": "https://mcp.example.com",
        "sub": "user-1",
        "aud": "https://mcp.example.com/mcp",
        "client_id": "client-1",
        "scope": "notes:read notes:write",
        "jti": "token-1",
        "iat": 1100,
        "exp": 4700,
        "grant_id": GRANT.grant_id,
    }


@given(now=st.integers(0, 2_000_000), end=st.integers(0, 2_000_000))
def test_no_token_outlives_its_grant(now: int, end: int) -> None:
    _, rows = mint_tokens(
        replace(GRANT, expires_at=end),
        scopes=GRANT.scopes,
        with_refresh_token=True,
        now=now,
        lifetimes=LIFETIMES,
        random_bytes=bytes,
    )
    assert rows.refresh is not None
    assert rows.access.expires_at == min(now + 3600, end)
    assert rows.refresh.expires_at == min(now + 86400, end)


@pytest.mark.parametrize(
    ("grant_types", "expected"), [(("authorization_code", "refresh_token"), True), (("authorization_code",), False)]
)
def test_a_refresh_token_depends_on_the_registered_grant_types_and_on_no_scope(
    grant_types: tuple[str, ...], *, expected: bool
) -> None:
    client = Client("C", (), grant_types, ("code",), "none", "web", None, None, None, None, None, False, "c", None, 0)
    assert gets_refresh_token(client) is expected


def test_the_answer_names_everything_a_client_needs() -> None:
    assert Tokens("access", "refresh", 4700, ("a", "b")).answer(now=1100) == {
        "access_token": "access",
        "token_type": "Bearer",
        "expires_in": 3600,
        "refresh_token": "refresh",
        "scope": "a b",
    }


def test_the_answer_says_that_there_is_no_refresh_token_and_no_scope_by_what_it_holds() -> None:
    assert Tokens("access", None, 4700, ()).answer(now=5000) == {
        "access_token": "access",
        "token_type": "Bearer",
        "expires_in": 0,
        "scope": "",
    }


def test_printed_tokens_show_no_secret() -> None:
    assert repr(Tokens("access", "refresh", 4700, ("a",))) == (
        "Tokens(expires_at=4700, scopes=('a',), is_bound=False, issued_type=None)"
    )
