from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Collection
from dataclasses import replace
from itertools import pairwise

import pytest

from gatepost.oauth.errors import InvalidGrant, InvalidScope, InvalidTarget, OAuthError
from gatepost.oauth.issuing import Tokens
from gatepost.oauth.policy import Lifetimes, StaleTokens
from gatepost.oauth.reasons import Reason
from gatepost.oauth.records import Grant, RefreshToken
from gatepost.oauth.refresh import (
    check_refresh,
    grant_revoked_error,
    open_newest,
    open_successor,
    permitted_scopes,
    seal_successor,
    stale_tokens,
    token_reused_error,
    user_not_allowed_error,
)
from gatepost.stores.conformance.records import client
from gatepost.tokens.sealing import SealBroken, derive_key, unseal

GRANT = Grant(
    grant_id="grant-1",
    subject="user-1",
    client_id="client-1",
    resource="https://mcp.example.com/mcp",
    scopes=("notes:read",),
    created_at=0,
    expires_at=10_000,
)
TOKEN = RefreshToken(token_fingerprint=b"t" * 32, grant_id="grant-1", created_at=0, expires_at=5_000)
SPENT = replace(TOKEN, spent_at=10, successor_fingerprint=b"s" * 32, sealed_successor=b"sealed")


def check(
    token: RefreshToken | None = TOKEN,
    grant: Grant | None = GRANT,
    *,
    user_disabled: bool = False,
    client_id: str = "client-1",
    resource: str | None = None,
    served: Collection[str] = (GRANT.resource, "https://mcp.example.com/mail"),
    now: int = 4_999,
) -> Grant:
    return check_refresh(
        token,
        grant,
        user_disabled=user_disabled,
        client_id=client_id,
        resource=resource,
        served=served,
        now=now,
    )


@pytest.mark.parametrize("token", [TOKEN, SPENT])
@pytest.mark.parametrize("resource", [None, "https://mcp.example.com/mcp"])
def test_a_token_may_be_used_by_its_client_and_the_store_decides_whether_it_is_spent(
    token: RefreshToken, resource: str | None
) -> None:
    assert check(token, resource=resource) is GRANT


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        ({"token": None, "grant": None}, InvalidGrant, Reason.REFRESH_TOKEN_UNKNOWN),
        ({"grant": None}, InvalidGrant, Reason.REFRESH_TOKEN_UNKNOWN),
        ({"client_id": "client-2"}, InvalidGrant, Reason.REFRESH_TOKEN_OF_ANOTHER_CLIENT),
        ({"grant": replace(GRANT, revoked_at=5)}, InvalidGrant, Reason.GRANT_REVOKED),
        ({"user_disabled": True}, InvalidGrant, Reason.USER_DISABLED),
        ({"grant": replace(GRANT, expires_at=4_999)}, InvalidGrant, Reason.GRANT_EXPIRED),
        ({"now": 5_000}, InvalidGrant, Reason.REFRESH_TOKEN_EXPIRED),
        ({"resource": "https://mcp.example.com/mail"}, InvalidTarget, Reason.REFRESH_TOKEN_RESOURCE_MISMATCH),
        ({"served": ["https://mcp.example.com/mail"]}, InvalidGrant, Reason.RESOURCE_NOT_SERVED),
        (
            {"served": ["https://mcp.example.com/mail"], "resource": "https://mcp.example.com/mail"},
            InvalidGrant,
            Reason.RESOURCE_NOT_SERVED,
        ),
        # Another client learns nothing about the family.
        (
            {"client_id": "client-2", "grant": replace(GRANT, revoked_at=5), "user_disabled": True},
            InvalidGrant,
            Reason.REFRESH_TOKEN_OF_ANOTHER_CLIENT,
        ),
    ],
)
def test_each_refusal_has_its_own_reason(arguments: dict[str, object], error: type[OAuthError], reason: Reason) -> None:
    with pytest.raises(error) as caught:
        check(**arguments)  # type: ignore[arg-type] # one table for arguments of several types
    assert caught.value.reason is reason
    assert caught.value.description.endswith(".")


def test_what_the_store_decides_has_its_own_reasons_too() -> None:
    assert grant_revoked_error().reason is Reason.GRANT_REVOKED
    assert grant_revoked_error().description.startswith("This approval was revoked; ")
    assert user_not_allowed_error().reason is Reason.USER_NOT_ALLOWED
    assert user_not_allowed_error().description.startswith("The account that approved this may not enter this server ")
    assert token_reused_error().reason is Reason.REFRESH_TOKEN_REUSED
    assert token_reused_error().description.startswith("The refresh token was used before, ")


def chain_of(*names: str) -> list[bytes]:
    """Return what is sealed from the first of these refresh tokens to the last."""
    return [
        seal_successor(Tokens("access", after, 5, ("a",)), predecessor=before, random_bytes=secrets.token_bytes)
        for before, after in pairwise(names)
    ]


def test_whoever_holds_an_old_token_opens_the_way_to_the_newest() -> None:
    assert open_newest(chain_of("first", "second", "third", "fourth"), predecessor="first") == "fourth"
    assert open_newest(chain_of("third", "fourth"), predecessor="third") == "fourth"


def test_nothing_but_that_very_way_leads_there() -> None:
    first, second, third = chain_of("first", "second", "third", "fourth")
    for chain, predecessor in (
        ([first, second, third], "second"),
        ([first, third], "first"),
        ([second, first], "first"),
        ([first, bytes(len(second))], "first"),
    ):
        with pytest.raises(SealBroken):
            open_newest(chain, predecessor=predecessor)


@pytest.mark.parametrize(("own", "seconds"), [(None, 7), (0, 0), (9, 9)])
def test_what_the_operator_said_of_a_client_goes_before_the_setting(own: int | None, seconds: int) -> None:
    lifetimes = Lifetimes(refresh_token=50, refresh_reuse=7)
    assert stale_tokens(client(refresh_reuse=own), lifetimes) == StaleTokens(seconds, 50)


@pytest.mark.parametrize("refresh_token", ["refresh", None])
def test_a_successor_opens_with_its_predecessor(refresh_token: str | None) -> None:
    successor = Tokens("access", refresh_token, 8_600, ("notes:read", "notes:write"))
    sealed = seal_successor(successor, predecessor="predecessor", random_bytes=secrets.token_bytes)
    assert open_successor(sealed, predecessor="predecessor") == successor
    assert b"access" not in sealed


def test_a_successor_is_sealed_under_a_key_for_this_purpose_of_its_predecessor() -> None:
    """Pinned: what a running server has sealed opens after an upgrade."""
    sealed = seal_successor(
        Tokens("access", None, 8_600, ("notes:read",)), predecessor="predecessor", random_bytes=bytes
    )
    key = derive_key(b"predecessor", purpose="refresh-successor")
    opened = unseal(sealed, key=key, associated_data=hashlib.sha256(b"predecessor").digest())
    assert json.loads(opened) == ["access", None, 8_600, ["notes:read"]]


def test_a_successor_opens_with_nothing_else() -> None:
    successor = Tokens("access", "refresh", 8_600, ("notes:read",))
    sealed = seal_successor(successor, predecessor="predecessor", random_bytes=secrets.token_bytes)
    with pytest.raises(SealBroken):
        open_successor(sealed, predecessor="another")
    with pytest.raises(SealBroken):
        open_successor(sealed[:-1] + bytes([sealed[-1] ^ 1]), predecessor="predecessor")


@pytest.mark.parametrize(
    ("requested", "permitted", "left"),
    [
        (("a", "b"), ("a", "b"), ("a", "b")),
        (("b", "a"), ("a", "b"), ("b", "a")),
        (("a", "b"), ("b",), ("b",)),
        (("b",), ("a", "b"), ("b",)),
        ((), (), ()),
    ],
)
def test_roles_take_scopes_away_and_add_none(
    requested: tuple[str, ...], permitted: tuple[str, ...], left: tuple[str, ...]
) -> None:
    assert permitted_scopes(requested, granted=("a", "b"), permitted=permitted) == left


@pytest.mark.parametrize(("permitted", "error"), [((), InvalidGrant), (("c",), InvalidGrant), (("b",), InvalidScope)])
def test_a_refresh_of_which_roles_leave_nothing_is_refused(permitted: tuple[str, ...], error: type[OAuthError]) -> None:
    with pytest.raises(error) as refused:
        permitted_scopes(("a",), granted=("a", "b"), permitted=permitted)
    assert refused.value.reason is Reason.ROLES_PERMIT_NOTHING
