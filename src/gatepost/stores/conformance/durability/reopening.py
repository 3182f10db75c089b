"""What was acknowledged is there when the store is opened again."""

from __future__ import annotations

import pytest

from gatepost.oauth.limits import Use
from gatepost.stores.conformance.full_store import KEY, RATE, fill, seen
from gatepost.stores.conformance.places import Place
from gatepost.stores.conformance.records import NOW, client, fp

NEEDS = "is_durable"


async def test_everything_is_there_after_closing_and_opening_again(place: Place) -> None:
    async with place.opened() as store:
        await fill(store)
        before = await seen(store)
    assert [what for what, found in before.items() if not found] == []

    async with place.opened() as store:
        assert await seen(store) == before


async def test_what_is_only_seen_by_using_it_up_is_there_after_opening_again(place: Place) -> None:
    async with place.opened() as store:
        await fill(store)
        assert await store.limits.take([Use("key", RATE)], now=NOW) == 0

    async with place.opened() as store:
        assert not await store.assertions.remember_jti("client-1", "jti-1", expires_at=NOW + 60, now=NOW)
        assert await store.limits.take([Use("key", RATE)], now=NOW) == 0
        assert await store.limits.take([Use("key", RATE)], now=NOW) > 0
        assert not await store.leases.take_lease("purge", holder="other", now=NOW, until=NOW + 60)
        assert await store.mcp_client_requests.find_response(KEY, "answered") == b"response"
        assert await store.mcp_client_requests.respond(KEY, "open", b"late", now=NOW + 49)
        taken = await store.logins.take_login(fp("state"), browser_id="browser-1", place="github", now=NOW)
        assert taken is not None
        assert await store.second_steps.use_recovery_code("user-1", "step-1", fp("code 1"))


async def test_what_ended_has_ended_after_opening_again(place: Place) -> None:
    async with place.opened() as store:
        await fill(store)
        await store.grants.revoke_grant("grant-1", reason="asked", now=NOW)
        await store.users.disable_user("user-2", now=NOW)
        await store.clients.remove_client("client-2", now=NOW)
        await store.api_keys.revoke_key("script-1", now=NOW)
        await store.browser_sessions.end_session(fp("session-1"))
        await store.mcp_sessions.end_session(KEY, owner="owner")
        after = await seen(store)

    async with place.opened() as store:
        assert await seen(store) == after
        token = await store.grants.find_access_token(fp("access 2"), now=NOW)
        assert token is None or token.grant_revoked


@pytest.mark.parametrize("times", [1, 3])
async def test_a_store_may_be_opened_again_and_again(place: Place, times: int) -> None:
    for number in range(times):
        async with place.opened() as store:
            await store.clients.register_client(client(f"client-{number}"))
            assert len(await store.clients.list_clients()) == number + 1
