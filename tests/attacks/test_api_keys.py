"""API keys that are stolen, guessed, over, or sent where they do not belong."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from gatepost import Context, Role, Server
from gatepost.oauth.issuing import mint_tokens
from gatepost.oauth.policy import Lifetimes
from gatepost.oauth.records import AccessToken, Grant, IssuedTokens
from gatepost.stores.conformance.records import user
from gatepost.stores.contract.api_keys import ApiKey, KeyAddition
from gatepost.tokens.opaque import SecretKind, fingerprint, mint
from tests.attacks.installed import ORIGIN, Installed, installed

FIXED = "an-operators-key-of-some-length"
AT = 1_800_000_000


def target() -> Server:
    server = Server("notes", implied_scopes={"notes:admin": ["notes:read"]})

    @server.tool(scopes=["notes:read"])
    async def who(ctx: Context) -> dict[str, Any]:
        """Say who calls."""
        return {
            "subject": ctx.user.subject,
            "name": ctx.user.name,
            "roles": sorted(ctx.user.roles),
            "client": ctx.client.name,
        }

    @server.tool(scopes=["notes:admin"])
    async def wipe() -> str:
        """Wipe."""
        return "wiped"

    return server


@pytest.fixture
async def world() -> AsyncIterator[Installed]:
    roles = {"reader": Role(scopes="notes:read"), "chief": Role(scopes="notes:admin")}
    async with installed(target=target(), roles=roles, MCP_API_KEY=FIXED, OAUTH_LIMIT_FACTOR="0") as world:
        await world.store.users.add_user(user())
        await world.store.users.give_role("user-1", "reader")
        yield world


async def keep(world: Installed, **changes: Any) -> str:
    """Keep a key as `gatepost apikeys create` does, and return it."""
    secret = mint(SecretKind.API_KEY, secrets.token_bytes)
    key = ApiKey(
        key_id=f"key_{secret[6:12]}",
        name=f"script-{secret[6:12]}",
        key_fingerprint=fingerprint(secret),
        user_subject=None,
        scopes=("notes:read",),
        resource=f"{ORIGIN}/mcp",
        created_at=AT,
    )
    assert await world.store.api_keys.add_key(replace(key, **changes)) is KeyAddition.ADDED
    return secret


async def call(
    world: Installed, headers: dict[str, str] | list[tuple[str, str]], *, tool: str = "who", query: str = ""
) -> httpx2.Response:
    every = [
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2025-06-18"),
        *(headers.items() if isinstance(headers, dict) else headers),
    ]
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {}}}
    return await world.http.post(f"/mcp{query}", json=message, headers=every)


def forms(key: str) -> tuple[dict[str, str], dict[str, str]]:
    return {"Authorization": f"Bearer {key}"}, {"MCP-API-Key": key}


async def refused(world: Installed, key: str) -> set[tuple[int, str]]:
    answers = [await call(world, form) for form in forms(key)]
    assert all("resource_metadata=" in answer.headers["www-authenticate"] for answer in answers)
    assert not any(key[6:] in answer.text for answer in answers if len(key) > 6)
    return {(answer.status_code, answer.json()["error_description"]) for answer in answers}


async def test_a_key_is_itself_and_a_persons_is_that_person(world: Installed) -> None:
    own, hers = await keep(world, key_id="key_a", name="nightly"), await keep(world, name="hers", user_subject="user-1")
    for _ in range(2):  # looked up, and remembered
        for form in forms(own):
            said = (await call(world, form)).json()["result"]["structuredContent"]
            assert said == {"subject": "key_a", "name": "nightly", "roles": [], "client": "nightly"}
        for form in forms(hers):
            said = (await call(world, form)).json()["result"]["structuredContent"]
            assert said == {"subject": "user-1", "name": "ada", "roles": ["reader"], "client": "hers"}


async def test_a_key_does_what_it_was_made_for_and_what_that_implies(world: Installed) -> None:
    for form in forms(await keep(world)):
        answer = await call(world, form, tool="wipe")
        assert answer.status_code == 403
        assert "notes:admin" in answer.headers["www-authenticate"]
    for form in forms(await keep(world, scopes=("notes:admin",))):
        assert (await call(world, form)).status_code == 200


async def test_a_persons_key_is_no_stronger_than_their_roles(world: Installed) -> None:
    for form in forms(await keep(world, user_subject="user-1", scopes=("notes:admin", "notes:read"))):
        assert (await call(world, form)).status_code == 200
        assert (await call(world, form, tool="wipe")).status_code == 403
    await world.store.users.give_role("user-1", "chief")
    for form in forms(await keep(world, user_subject="user-1", scopes=("notes:read",))):
        assert (await call(world, form)).status_code == 200
        assert (await call(world, form, tool="wipe")).status_code == 403
    await world.store.users.take_role("user-1", "chief")
    await world.store.users.take_role("user-1", "reader")
    world.clock[0] += 5
    for form in forms(await keep(world, user_subject="user-1")):
        assert (await call(world, form)).status_code == 403


async def test_the_fixed_key_counts_in_both_places_as_well(world: Installed) -> None:
    for form in forms(FIXED):
        for _ in range(2):
            assert (await call(world, form, tool="wipe")).status_code == 200


@pytest.mark.parametrize("resource", [f"{ORIGIN}/mail", "http://127.0.0.1:8001/mcp", "https://mcp.example.com/mcp"])
async def test_a_key_of_another_resource_is_refused(world: Installed, resource: str) -> None:
    assert await refused(world, await keep(world, resource=resource)) == {
        (401, "The access token was issued for another resource.")
    }


async def test_what_only_resembles_a_key_is_refused(world: Installed) -> None:
    key = await keep(world)
    for other in (key[:-1], key[:20], key + "A", key.swapcase(), "gp_ak_", mint(SecretKind.API_KEY, bytes)):
        assert {status for status, _ in await refused(world, other)} == {401}
    # Its prefix in another case is no key either.
    assert {status for status, _ in await refused(world, "GP_AK_" + key[6:])} == {401}


async def test_a_key_ends_when_it_expires_even_while_it_is_remembered(world: Installed) -> None:
    key = await keep(world, expires_at=AT + 3)
    for form in forms(key):
        assert (await call(world, form)).status_code == 200
    world.clock[0] += 3
    assert await refused(world, key) == {(401, "The API key has expired.")}


async def test_a_key_that_was_revoked_elsewhere_ends_within_five_seconds_and_here_at_once(world: Installed) -> None:
    elsewhere, here = await keep(world, name="elsewhere"), await keep(world, name="here")
    for form in (*forms(elsewhere), *forms(here)):
        assert (await call(world, form)).status_code == 200
    await world.store.api_keys.revoke_key("elsewhere", now=AT)
    world.clock[0] += 5
    assert await refused(world, elsewhere) == {(401, "The API key has been revoked.")}
    for form in forms(here):
        assert (await call(world, form)).status_code == 200
    await world.store.api_keys.revoke_key("here", now=AT)
    world.installation.resources.forget_verified_tokens()
    assert await refused(world, here) == {(401, "The API key has been revoked.")}


async def test_who_is_disabled_has_no_key_that_counts(world: Installed) -> None:
    key = await keep(world, user_subject="user-1")
    await world.store.users.disable_user("user-1", now=AT)
    assert await refused(world, key) == {(401, "The API key has been revoked.")}
    await world.store.users.enable_user("user-1")
    assert await refused(world, key) == {(401, "The API key has been revoked.")}


@pytest.mark.parametrize("query", ["?mcp-api-key={}", "?MCP_API_KEY={}", "?key={}", "?access_token={}", "?{}"])
@pytest.mark.parametrize("with_header", [True, False])
async def test_a_key_in_a_url_is_refused(world: Installed, query: str, *, with_header: bool) -> None:
    key = await keep(world)
    for form in forms(key):
        assert (await call(world, form)).status_code == 200
        answer = await call(world, form if with_header else {}, query=query.format(key))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_of_two_credentials_none_counts_even_where_each_is_remembered(world: Installed) -> None:
    key = await keep(world)
    bearer, own = forms(key)
    for form in (bearer, own):
        assert (await call(world, form)).status_code == 200
    for both in (
        {**bearer, **own},
        {**bearer, "MCP-API-Key": FIXED},
        {"Authorization": "Basic YTpi", **own},
        {**bearer, "MCP-API-Key": ""},
        [*own.items(), *own.items()],
    ):
        assert (await call(world, both)).status_code == 400


async def test_what_is_remembered_of_one_header_is_nothing_in_the_other(world: Installed) -> None:
    key = await keep(world)
    for form in forms(key):
        assert (await call(world, form)).status_code == 200
    assert (await call(world, {"Authorization": key})).status_code == 401
    assert (await call(world, {"MCP-API-Key": f"Bearer {key}"})).status_code == 401


async def test_an_access_token_is_no_key(world: Installed) -> None:
    token = mint(SecretKind.ACCESS_TOKEN, secrets.token_bytes)
    grant = Grant("grant-1", "user-1", "client-1", f"{ORIGIN}/mcp", ("notes:read",), AT, AT + 60)
    access = AccessToken(fingerprint(token), "grant-1", ("notes:read",), AT, AT + 60)
    await world.store.approvals.give_grant(grant, IssuedTokens(access, None))
    bearer, own = forms(token)
    assert (await call(world, bearer)).status_code == 200
    answer = await call(world, own)
    assert answer.status_code == 401
    assert answer.json()["error_description"] == "This is a secret of another kind; send the access token."


async def test_a_key_is_nothing_at_the_authorization_server(world: Installed) -> None:
    key = await keep(world, user_subject="user-1")
    assert (await world.token(grant_type="refresh_token", refresh_token=key, client_id="client-1")).status_code in {
        400,
        401,
    }
    page = await world.http.get("/oauth/account", headers={"Authorization": f"Bearer {key}"}, follow_redirects=False)
    assert "ada" not in page.text


async def test_a_key_counts_at_every_loopback_name_of_a_server_without_a_public_url(world: Installed) -> None:
    key = await keep(world)
    for host, status in (("localhost:8000", 200), ("[::1]:8000", 200), ("localhost:9000", 401)):
        for form in forms(key):
            assert (await call(world, {**form, "Host": host})).status_code == status


async def test_pages_of_allowed_origins_may_send_the_header(world: Installed) -> None:
    asked = {
        "Origin": "http://localhost:6274",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,mcp-api-key",
    }
    answer = await world.http.options("/mcp", headers=asked)
    assert answer.status_code == 200
    assert "mcp-api-key" in answer.headers["access-control-allow-headers"]


async def test_in_lazy_mode_a_key_that_does_not_count_is_refused_and_not_served_as_nobody() -> None:
    async with installed(target=target(), MCP_LAZY_AUTH="true", OAUTH_LIMIT_FACTOR="0") as world:
        assert await refused(world, mint(SecretKind.API_KEY, bytes)) == {(401, "The API key is unknown.")}
        for form in forms(await keep(world)):
            assert (await call(world, form)).status_code == 200


async def test_a_use_is_noted_behind_the_call(world: Installed) -> None:
    key = await keep(world)
    assert (await call(world, forms(key)[0])).status_code == 200
    [before] = await world.store.api_keys.list_keys(live_at=None, limit=2)
    assert before.last_used_at is None
    await world.installation.core.api_key_uses.write()
    [after] = await world.store.api_keys.list_keys(live_at=None, limit=2)
    assert after == replace(before, last_used_at=AT)


@pytest.mark.parametrize("token_format", ["opaque", "jwt"])
async def test_a_token_counts_at_every_loopback_name_only_where_the_operator_made_it(token_format: str) -> None:
    async with installed(target=target(), OAUTH_ACCESS_TOKEN_FORMAT=token_format, OAUTH_LIMIT_FACTOR="0") as world:
        signed = world.installation.core.signed_tokens(ORIGIN)
        statuses: dict[str, list[int]] = {}
        for client_id in ("gatepost-cli", "client-1"):
            grant = Grant(f"of-{client_id}", "svc", client_id, f"{ORIGIN}/mcp", ("notes:read",), AT, AT + 60)
            tokens, rows = mint_tokens(
                grant,
                scopes=grant.scopes,
                with_refresh_token=False,
                now=AT,
                lifetimes=Lifetimes(),
                random_bytes=secrets.token_bytes,
                sign=None if signed is None else await signed.signer(AT),
            )
            await world.store.approvals.give_grant(grant, rows)
            hosts = ("127.0.0.1:8000", "localhost:8000", "[::1]:8000", "localhost:9000")
            form = forms(tokens.access_token)[0]
            statuses[client_id] = [(await call(world, {**form, "Host": host})).status_code for host in hosts]
    assert statuses == {"gatepost-cli": [200, 200, 200, 401], "client-1": [200, 401, 401, 401]}
