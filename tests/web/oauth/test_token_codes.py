"""Redeeming codes: who may, how often, and what a replay costs (security.md rows 9 to 11)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gatepost.stores.contract.grants import CodeView
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import LOCAL, User
from gatepost.stores.sql.sqlite import file_store, memory_store
from gatepost.tokens.opaque import SecretKind, fingerprint, looks_like
from tests.web.oauth.token_harness import CHALLENGE, MAIL, NOTES, Harness, refusal, token_harness

INVALID_GRANT = (400, "invalid_grant")


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    async with token_harness(memory_store()) as harness:
        yield harness


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store: Store = memory_store() if request.param == "memory" else file_store(tmp_path / "store.db")
    await store.open()
    yield store
    await store.close()


async def test_a_code_becomes_tokens(harness: Harness) -> None:
    client = await harness.register()
    answer = (await harness.redeem(client, await harness.approve(client))).json()
    assert looks_like(SecretKind.ACCESS_TOKEN, answer.pop("access_token"))
    assert looks_like(SecretKind.REFRESH_TOKEN, answer.pop("refresh_token"))
    assert answer == {"token_type": "Bearer", "expires_in": 3600, "scope": "notes:read notes:write"}


async def test_the_access_token_is_live_for_what_was_approved(harness: Harness) -> None:
    client = await harness.register()
    answer = await harness.begin(client)
    live = await harness.store.grants.find_access_token(fingerprint(answer["access_token"]), now=harness.now)
    assert live is not None
    assert (live.subject, live.client_id, live.resource, live.scopes) == (
        "user-1",
        client.client_id,
        NOTES.identifier,
        ("notes:read", "notes:write"),
    )


async def test_a_client_that_registered_without_refresh_gets_no_refresh_token(harness: Harness) -> None:
    client = await harness.register(grant_types=["authorization_code"])
    assert "refresh_token" not in await harness.begin(client)


@pytest.mark.parametrize("resource", [NOTES.identifier, NOTES.identifier + "/", "HTTPS://MCP.EXAMPLE.COM:443/mcp"])
async def test_every_spelling_of_the_resource_is_accepted(harness: Harness, resource: str) -> None:
    client = await harness.register()
    assert (await harness.redeem(client, await harness.approve(client), resource=resource)).status_code == 200


@pytest.mark.parametrize(
    "resource", [MAIL.identifier, "https://evil.example/mcp", "not a url", NOTES.identifier + "#x"]
)
async def test_another_resource_is_refused_and_the_code_stays_valid(harness: Harness, resource: str) -> None:
    client = await harness.register()
    code = await harness.approve(client)
    assert refusal(await harness.redeem(client, code, resource=resource)) == (400, "invalid_target")
    assert (await harness.redeem(client, code)).status_code == 200


@pytest.mark.parametrize("redirect_uri", [None, "", "https://app.example/other"])
async def test_another_redirect_uri_is_refused_and_the_code_stays_valid(
    harness: Harness, redirect_uri: str | None
) -> None:
    client = await harness.register()
    code = await harness.approve(client)
    assert refusal(await harness.redeem(client, code, redirect_uri=redirect_uri)) == INVALID_GRANT
    assert (await harness.redeem(client, code)).status_code == 200


async def test_a_wrong_verifier_is_counted_and_the_fifth_kills_the_code(harness: Harness) -> None:
    client = await harness.register()
    code, other = await harness.approve(client), await harness.approve(client)
    for _ in range(4):
        assert refusal(await harness.redeem(client, code, code_verifier="x" * 43)) == INVALID_GRANT
    assert refusal(await harness.redeem(client, other, code_verifier="x" * 43)) == INVALID_GRANT
    assert (await harness.redeem(client, other)).status_code == 200
    assert refusal(await harness.redeem(client, code, code_verifier=CHALLENGE)) == INVALID_GRANT
    response = await harness.redeem(client, code)
    assert refusal(response) == INVALID_GRANT
    assert "Too many" in response.json()["error_description"]


async def test_an_unknown_or_expired_code_is_refused(harness: Harness) -> None:
    client = await harness.register()
    code = await harness.approve(client)
    assert refusal(await harness.redeem(client, "gp_ac_unknown")) == INVALID_GRANT
    harness.now += 600
    assert refusal(await harness.redeem(client, code)) == INVALID_GRANT


async def test_another_clients_code_is_refused_and_the_owner_is_not_disturbed(harness: Harness) -> None:
    owner, thief = await harness.register(), await harness.register()
    code = await harness.approve(owner)
    assert refusal(await harness.redeem(thief, code)) == INVALID_GRANT
    answer = (await harness.redeem(owner, code)).json()
    assert refusal(await harness.redeem(thief, code)) == INVALID_GRANT
    assert await harness.is_alive(answer["access_token"])
    assert harness.revocations == []


@pytest.mark.parametrize("code_verifier", [None, "x" * 43])
async def test_a_replay_revokes_what_the_code_gave_and_every_later_generation(
    harness: Harness, code_verifier: str | None
) -> None:
    client = await harness.register()
    code = await harness.approve(client)
    first = (await harness.redeem(client, code)).json()
    second = (await harness.refresh(client, first["refresh_token"])).json()
    unrelated = await harness.begin(client)
    changes = {} if code_verifier is None else {"code_verifier": code_verifier}
    assert refusal(await harness.redeem(client, code, **changes)) == INVALID_GRANT
    assert not await harness.is_alive(first["access_token"])
    assert not await harness.is_alive(second["access_token"])
    assert refusal(await harness.refresh(client, second["refresh_token"])) == INVALID_GRANT
    assert harness.revocations == [harness.now]
    assert await harness.is_alive(unrelated["access_token"])


async def test_fifty_parallel_redemptions_have_one_winner(store: Store) -> None:
    async with token_harness(store) as harness:
        client = await harness.register()
        code = await harness.approve(client)
        responses = await asyncio.gather(*(harness.redeem(client, code) for _ in range(50)))
        assert Counter(response.status_code for response in responses) == {200: 1, 400: 49}
        assert {refusal(response) for response in responses if response.status_code == 400} == {INVALID_GRANT}


async def test_twins_that_looked_the_code_up_unspent_do_not_revoke_the_winner_but_a_later_replay_does(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty requests that meet between look-up and redemption: the tightest race there is."""
    everybody_has_looked = asyncio.Barrier(50)
    find_code = store.grants.find_code_and_client

    async def find_code_together(code_fingerprint: bytes, *, now: int) -> CodeView | None:
        found = await find_code(code_fingerprint, now=now)
        await everybody_has_looked.wait()
        return found

    async with token_harness(store) as harness:
        client = await harness.register()
        code = await harness.approve(client)
        with monkeypatch.context() as patch:
            patch.setattr(store.grants, "find_code_and_client", find_code_together)
            responses = await asyncio.gather(*(harness.redeem(client, code) for _ in range(50)))
        assert Counter(response.status_code for response in responses) == {200: 1, 400: 49}
        assert {refusal(response) for response in responses if response.status_code == 400} == {INVALID_GRANT}
        [winner] = [response.json() for response in responses if response.status_code == 200]
        assert await harness.is_alive(winner["access_token"])
        assert harness.revocations == []
        assert refusal(await harness.redeem(client, code)) == INVALID_GRANT
        assert not await harness.is_alive(winner["access_token"])


async def test_an_account_disabled_after_the_approval_gets_no_tokens(harness: Harness) -> None:
    await harness.store.users.add_user(User("user-1", LOCAL, "user-1", harness.now, username="ann"))
    client = await harness.register()
    code = await harness.approve(client)
    await harness.store.users.disable_user("user-1", now=harness.now)
    assert refusal(await harness.redeem(client, code)) == INVALID_GRANT
