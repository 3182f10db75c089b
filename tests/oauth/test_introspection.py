"""What is said about a token, and to whom (RFC 7662)."""

from __future__ import annotations

import pytest

from gatepost.oauth.errors import InvalidClient
from gatepost.oauth.introspection import INACTIVE, active_token, check_caller, may_know, methods_supported
from gatepost.oauth.reasons import Reason
from gatepost.stores.conformance.records import client


def test_whoever_asks_authenticates() -> None:
    assert methods_supported() == ("client_secret_basic", "client_secret_post", "private_key_jwt")
    for method in methods_supported():
        check_caller(client(token_endpoint_auth_method=method))
    with pytest.raises(InvalidClient) as refused:
        check_caller(client(token_endpoint_auth_method="none"))
    assert refused.value.reason is Reason.CLIENT_AUTHENTICATION_METHOD_WRONG
    assert refused.value.description.startswith("This endpoint answers clients that authenticate; ")


@pytest.mark.parametrize(
    ("caller", "owner", "is_told"),
    [("app", "app", True), ("app", "other", False), ("api", "other", True), ("api", "api", True)],
)
def test_a_client_knows_of_its_own_tokens_and_a_resource_server_of_all(
    caller: str, owner: str, *, is_told: bool
) -> None:
    assert may_know(client(caller), owner=owner, resource_servers={"api", "api-2"}) is is_told


def test_an_access_token_that_counts_is_told_whole() -> None:
    told = active_token(
        issuer="https://mcp.example.com",
        subject="user-1",
        client_id="app",
        resource="https://mcp.example.com/mcp",
        scopes=("notes:read", "notes:write"),
        expires_at=1_600,
    )
    assert told == {
        "active": True,
        "scope": "notes:read notes:write",
        "client_id": "app",
        "token_type": "Bearer",
        "exp": 1_600,
        "sub": "user-1",
        "aud": "https://mcp.example.com/mcp",
        "iss": "https://mcp.example.com",
    }


def test_of_all_others_nothing_is_told() -> None:
    assert INACTIVE == {"active": False}
