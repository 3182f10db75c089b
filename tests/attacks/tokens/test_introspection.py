"""Introspection (RFC 7662): only callers that prove who they are, and only about tokens that are their business."""

from __future__ import annotations

import pytest

from gatepost.oauth.records import Client
from gatepost.stores.contract.store import Store
from tests.web.oauth.token_harness import ISSUER, NOTES, Harness, refusal, token_harness

SECRET = "gp_cs_" + "s" * 43
INACTIVE = {"active": False}


async def confidential(harness: Harness) -> Client:
    return await harness.register(method="client_secret_post", secret=SECRET)


async def ask(harness: Harness, client: Client, token: str) -> object:
    response = await harness.introspect(client, token, client_secret=SECRET)
    assert response.status_code == 200
    return response.json()


async def test_a_client_is_told_about_its_own_access_token(harness: Harness) -> None:
    client = await confidential(harness)
    tokens = await harness.begin(client, client_secret=SECRET)
    assert await ask(harness, client, tokens["access_token"]) == {
        "active": True,
        "scope": "notes:read notes:write",
        "client_id": client.client_id,
        "token_type": "Bearer",
        "exp": harness.now + 3600,
        "sub": "user-1",
        "aud": NOTES.identifier,
        "iss": ISSUER,
    }


async def test_a_stranger_with_a_secret_learns_nothing_and_a_resource_server_all(harness: Harness) -> None:
    """Anybody can register a client with a secret; only the operator makes one a resource server."""
    stranger = await confidential(harness)
    tokens = await harness.begin(await harness.register())
    assert await ask(harness, stranger, tokens["access_token"]) == INACTIVE
    harness.resource_servers.add(stranger.client_id)
    answer = await ask(harness, stranger, tokens["access_token"])
    assert isinstance(answer, dict)
    assert answer["active"] is True


async def test_a_public_client_is_not_answered_even_as_a_resource_server(harness: Harness) -> None:
    client = await harness.register()
    harness.resource_servers.add(client.client_id)
    tokens = await harness.begin(client)
    assert refusal(await harness.introspect(client, tokens["access_token"])) == (401, "invalid_client")


async def test_a_wrong_secret_or_none_is_not_answered(harness: Harness) -> None:
    client = await confidential(harness)
    for secret in (None, "guess"):
        response = await harness.introspect(client, "gp_at_x", client_secret=secret)
        assert refusal(response) == (401, "invalid_client")


async def test_a_refresh_token_is_never_active(harness: Harness) -> None:
    client = await confidential(harness)
    harness.resource_servers.add(client.client_id)
    tokens = await harness.begin(client, client_secret=SECRET)
    assert await ask(harness, client, tokens["refresh_token"]) == INACTIVE


async def test_what_does_not_count_says_nothing_else(harness: Harness) -> None:
    client = await confidential(harness)
    expired = (await harness.begin(client, client_secret=SECRET))["access_token"]
    harness.now += 3600
    revoked = (await harness.begin(client, client_secret=SECRET))["access_token"]
    await harness.revoke(client, revoked, client_secret=SECRET)
    for token in (expired, revoked, "unknown", "gp_at_" + "A" * 43, "eyJhbGciOiJub25lIn0.e30."):
        assert await ask(harness, client, token) == INACTIVE


async def test_a_token_of_another_sites_resource_is_not_told(harness: Harness) -> None:
    client = await confidential(harness)
    code = await harness.approve(client, resource="https://other.example/mcp")
    token = (await harness.redeem(client, code, client_secret=SECRET)).json()["access_token"]
    assert await ask(harness, client, token) == INACTIVE


async def test_the_token_is_required_and_posted(harness: Harness) -> None:
    client = await confidential(harness)
    missing = await harness.introspect(client, "", token=None, client_secret=SECRET)
    assert refusal(missing) == (400, "invalid_request")
    assert (await harness.http.get("/oauth/introspect?token=x")).status_code == 405


@pytest.mark.parametrize("path", ["/oauth/revoke", "/oauth/introspect"])
async def test_nothing_but_a_small_form_is_read(store: Store, path: str) -> None:
    async with token_harness(store) as harness:
        client = await harness.register()
        response = await harness.http.post(path, json={"token": "x", "client_id": client.client_id})
        assert refusal(response) == (400, "invalid_request")
        large = await harness.http.post(path, data={"client_id": client.client_id, "token": "x" * 70_000})
        assert large.status_code == 413
