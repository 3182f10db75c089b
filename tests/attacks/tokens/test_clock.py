"""A clock that is set forward or back: nothing that was ended comes back, and nobody who was let in is shut out."""

from __future__ import annotations

import pytest

from gatepost.stores.contract.store import Store
from tests.web.oauth.token_harness import refusal, token_harness

HOUR = 3600
DAY = 24 * HOUR


@pytest.mark.parametrize("step", [-12 * HOUR, -HOUR, HOUR])
async def test_whatever_the_clock_says_a_client_goes_on_with_its_refresh_token(store: Store, step: int) -> None:
    async with token_harness(store) as harness:
        client = await harness.register()
        first = await harness.begin(client)
        harness.now += step
        second = (await harness.refresh(client, first["refresh_token"])).json()
        assert await harness.is_alive(second["access_token"])
        harness.now -= step  # and it is put right again
        third = (await harness.refresh(client, second["refresh_token"])).json()
        assert await harness.is_alive(third["access_token"])


@pytest.mark.parametrize("step", [-DAY, -HOUR, -1])
async def test_a_clock_that_is_set_back_brings_nothing_back_that_was_ended(store: Store, step: int) -> None:
    async with token_harness(store) as harness:
        client = await harness.register()
        code = await harness.approve(client)
        revoked = (await harness.redeem(client, code)).json()
        assert (await harness.revoke(client, revoked["refresh_token"])).status_code == 200
        spent = await harness.approve(client)
        kept = (await harness.redeem(client, spent)).json()
        harness.now += step

        assert not await harness.is_alive(revoked["access_token"])
        assert refusal(await harness.refresh(client, revoked["refresh_token"])) == (400, "invalid_grant")
        # A code that was spent is a replay, and ends what it gave.
        assert await harness.is_alive(kept["access_token"])
        assert refusal(await harness.redeem(client, spent)) == (400, "invalid_grant")
        assert not await harness.is_alive(kept["access_token"])


async def test_a_token_that_expired_by_a_clock_set_forward_counts_again_when_it_is_put_right(store: Store) -> None:
    async with token_harness(store) as harness:
        client = await harness.register()
        tokens = await harness.begin(client)
        harness.now += DAY
        assert not await harness.is_alive(tokens["access_token"])
        harness.now -= DAY
        assert await harness.is_alive(tokens["access_token"])
