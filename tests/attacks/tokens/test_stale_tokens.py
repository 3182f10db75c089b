"""What a thief of an old refresh token can do where several processes of a client may come late (row 17)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gatepost.oauth.records import Client
from gatepost.stores.contract.store import Store
from tests.web.oauth.token_harness import LIFETIMES, Answer, Harness, refusal, token_harness

INVALID_GRANT = (400, "invalid_grant")
HOUR = 3600
DAY = 24 * HOUR


@pytest.fixture
async def shared(store: Store) -> AsyncIterator[Harness]:
    lifetimes = replace(LIFETIMES, refresh_token=30 * DAY, grant=365 * DAY, refresh_reuse=DAY)
    async with token_harness(store, lifetimes=lifetimes) as harness:
        yield harness


async def go_on(harness: Harness, client: Client, held: Answer, *, hours: int) -> Answer:
    """Refresh every hour, as a client that is used does."""
    for _ in range(hours):
        harness.now += HOUR
        answer = await harness.refresh(client, held["refresh_token"])
        assert answer.status_code == 200
        held = answer.json()
    return held


async def test_what_was_replaced_more_than_a_day_ago_gives_a_thief_nothing_and_tells_on_the_theft(
    shared: Harness,
) -> None:
    client = await shared.register()
    stolen = await shared.begin(client)
    held = await go_on(shared, client, stolen, hours=26)

    assert refusal(await shared.refresh(client, stolen["refresh_token"])) == INVALID_GRANT

    assert shared.revocations == [shared.now]
    assert not await shared.is_alive(held["access_token"])


async def test_a_thief_who_comes_in_time_gets_no_family_of_their_own(shared: Harness) -> None:
    """They share one token with the owner: what ends it for one ends it for both, whoever gives back what."""
    client = await shared.register()
    stolen = await shared.begin(client)
    held = await go_on(shared, client, stolen, hours=3)

    loot = (await shared.refresh(client, stolen["refresh_token"])).json()
    assert loot["refresh_token"] == held["refresh_token"]

    assert (await shared.revoke(client, held["access_token"])).status_code == 200
    assert not await shared.is_alive(loot["access_token"])
    for token in (stolen, loot):
        assert refusal(await shared.refresh(client, token["refresh_token"])) == INVALID_GRANT


@pytest.mark.parametrize("who_goes_on", ["thief", "owner"])
async def test_whoever_of_the_two_pauses_for_a_day_ends_it_for_both(shared: Harness, who_goes_on: str) -> None:
    client = await shared.register()
    stolen = await shared.begin(client)
    held = await go_on(shared, client, stolen, hours=2)
    loot = (await shared.refresh(client, stolen["refresh_token"])).json()
    pausing = held if who_goes_on == "thief" else loot

    newest = await go_on(shared, client, loot if who_goes_on == "thief" else held, hours=26)

    assert refusal(await shared.refresh(client, pausing["refresh_token"])) == INVALID_GRANT
    assert not await shared.is_alive(newest["access_token"])
    assert refusal(await shared.refresh(client, newest["refresh_token"])) == INVALID_GRANT


async def test_a_thief_who_never_falls_behind_is_out_a_month_later(shared: Harness) -> None:
    client = await shared.register()
    stolen = await shared.begin(client)
    loot = await go_on(shared, client, stolen, hours=2)
    shared.now += 121
    loot = (await shared.refresh(client, stolen["refresh_token"])).json()
    came = shared.now

    while shared.now + 20 * HOUR < came + 30 * DAY:
        shared.now += 20 * HOUR
        answer = await shared.refresh(client, loot["refresh_token"])
        assert answer.status_code == 200
        # The owner's processes come late, too, and that puts nothing off.
        assert (await shared.refresh(client, loot["refresh_token"])).status_code == 200
        loot = answer.json()
    shared.now = came + 30 * DAY

    assert not await shared.is_alive(loot["access_token"])
    assert refusal(await shared.refresh(client, loot["refresh_token"])) == INVALID_GRANT


async def test_an_old_token_is_nothing_to_another_client(shared: Harness) -> None:
    owner, thief = await shared.register(), await shared.register()
    stolen = await shared.begin(owner)
    held = await go_on(shared, owner, stolen, hours=3)

    assert refusal(await shared.refresh(thief, stolen["refresh_token"])) == INVALID_GRANT

    assert shared.revocations == []
    assert (await shared.refresh(owner, held["refresh_token"])).status_code == 200


async def test_where_the_operator_says_never_the_first_late_use_is_a_theft(shared: Harness) -> None:
    client = await shared.register()
    await shared.store.clients.set_refresh_reuse(client.client_id, 0)
    stolen = await shared.begin(client)
    held = await go_on(shared, client, stolen, hours=2)

    assert refusal(await shared.refresh(client, stolen["refresh_token"])) == INVALID_GRANT
    assert not await shared.is_alive(held["access_token"])
