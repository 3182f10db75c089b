"""Stale refresh tokens: what several processes of one client get, and what a thief does (RFC 9700 section 4.14.2)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gatepost.oauth.policy import Lifetimes
from gatepost.stores.conformance.records import find_grant
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import file_store, memory_store
from gatepost.tokens.opaque import fingerprint
from tests.web.oauth.token_harness import LIFETIMES, MAIL, NOTES, Harness, refusal, token_harness

INVALID_GRANT = (400, "invalid_grant")
HOUR = 3600
DAY = 24 * HOUR
# Long enough that nothing but the rule under test ends anything.
SHARED = replace(LIFETIMES, refresh_token=30 * DAY, grant=365 * DAY, refresh_reuse=DAY)


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store: Store = memory_store() if request.param == "memory" else file_store(tmp_path / "store.db")
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def harness(store: Store) -> AsyncIterator[Harness]:
    async with token_harness(store, lifetimes=SHARED) as harness:
        yield harness


def test_a_day_is_the_default() -> None:
    assert Lifetimes().refresh_reuse == DAY


async def test_a_process_that_slept_for_hours_meets_the_others_in_the_newest_token(harness: Harness) -> None:
    client = await harness.register()
    first = newest = await harness.begin(client)
    for _ in range(8):
        newest = (await harness.refresh(client, newest["refresh_token"])).json()
        harness.now += HOUR

    late = (await harness.refresh(client, first["refresh_token"])).json()

    assert late == newest | {"access_token": late["access_token"]}
    assert late["access_token"] != newest["access_token"]
    assert await harness.is_alive(late["access_token"])
    # From here on they share one token again, and either may be the first to use it.
    following = (await harness.refresh(client, late["refresh_token"])).json()
    assert (await harness.refresh(client, newest["refresh_token"])).json() == following


async def test_an_answer_that_was_lost_with_its_process_is_made_good_the_next_morning(harness: Harness) -> None:
    client = await harness.register()
    first = await harness.begin(client)
    lost = (await harness.refresh(client, first["refresh_token"])).json()
    harness.now += DAY

    again = (await harness.refresh(client, first["refresh_token"])).json()

    assert again["refresh_token"] == lost["refresh_token"]
    assert await harness.is_alive(again["access_token"])
    assert not await harness.is_alive(lost["access_token"])


async def test_whoever_is_a_second_later_than_that_ends_the_grant_for_all(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="gatepost.web")
    client = await harness.register()
    first = await harness.begin(client)
    second = (await harness.refresh(client, first["refresh_token"])).json()
    harness.now += DAY
    late = (await harness.refresh(client, first["refresh_token"])).json()
    harness.now += 1  # to have come in time once does not make it longer

    assert refusal(await harness.refresh(client, first["refresh_token"])) == INVALID_GRANT

    assert harness.revocations == [harness.now]
    assert not await harness.is_alive(late["access_token"])
    assert refusal(await harness.refresh(client, second["refresh_token"])) == INVALID_GRANT
    assert [record.__dict__["reason"] for record in caplog.records] == ["refresh_token_reused", "grant_revoked"]


async def test_a_grant_that_is_shared_by_old_tokens_ends_a_refresh_tokens_lifetime_later(harness: Harness) -> None:
    client = await harness.register()
    began = harness.now
    first = newest = await harness.begin(client)
    newest = (await harness.refresh(client, newest["refresh_token"])).json()
    harness.now += 121
    live = await harness.store.grants.find_access_token(fingerprint(newest["access_token"]), now=harness.now)
    assert live is not None
    for _ in range(3):  # the first time counts
        assert (await harness.refresh(client, first["refresh_token"])).status_code == 200
        harness.now += HOUR

    grant = await find_grant(harness.store, live.grant_id)

    assert grant is not None
    assert grant.expires_at == began + 121 + 30 * DAY
    harness.now += 20 * DAY
    newest = (await harness.refresh(client, newest["refresh_token"])).json()
    harness.now = grant.expires_at - 1
    last = await harness.refresh(client, newest["refresh_token"])
    assert (last.status_code, last.json()["expires_in"]) == (200, 1)
    harness.now += 1
    assert refusal(await harness.refresh(client, last.json()["refresh_token"])) == INVALID_GRANT


async def test_a_late_answer_counts_no_longer_than_its_grant_does(store: Store) -> None:
    async with token_harness(store, lifetimes=replace(SHARED, refresh_token=600)) as harness:
        client = await harness.register()
        first = await harness.begin(client)
        await harness.refresh(client, first["refresh_token"])
        harness.now += 121

        late = (await harness.refresh(client, first["refresh_token"])).json()

        assert late["expires_in"] == 600
        harness.now += 600
        assert not await harness.is_alive(late["access_token"])


async def test_fifty_processes_that_come_late_at_once_all_get_the_newest_token(harness: Harness) -> None:
    client = await harness.register()
    first = newest = await harness.begin(client)
    for _ in range(3):
        newest = (await harness.refresh(client, newest["refresh_token"])).json()
    harness.now += HOUR - 1

    answers = await asyncio.gather(*(harness.refresh(client, first["refresh_token"]) for _ in range(50)))

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["refresh_token"] for answer in answers} == {newest["refresh_token"]}
    tokens = {answer.json()["access_token"] for answer in answers}
    assert len(tokens) == 50
    assert all([await harness.is_alive(token) for token in tokens])
    assert (await harness.refresh(client, newest["refresh_token"])).status_code == 200


async def test_who_comes_late_may_ask_for_less_and_gets_no_more_than_was_granted(harness: Harness) -> None:
    client = await harness.register()
    first = await harness.begin(client)
    await harness.refresh(client, first["refresh_token"])
    harness.now += HOUR
    token = first["refresh_token"]

    assert (await harness.refresh(client, token, scope="notes:read")).json()["scope"] == "notes:read"
    assert refusal(await harness.refresh(client, token, scope="notes:read mail:read")) == (400, "invalid_scope")
    assert refusal(await harness.refresh(client, token, resource=MAIL.identifier)) == (400, "invalid_target")
    assert (await harness.refresh(client, token)).json()["scope"] == "notes:read notes:write"


@pytest.mark.parametrize(("own", "status"), [(0, 400), (HOUR - 1, 400), (HOUR, 200), (None, 200)])
async def test_what_the_operator_said_of_a_client_goes_before_the_setting(
    harness: Harness, own: int | None, status: int
) -> None:
    client = await harness.register()
    assert await harness.store.clients.set_refresh_reuse(client.client_id, own)
    first = await harness.begin(client)
    second = (await harness.refresh(client, first["refresh_token"])).json()
    harness.now += HOUR

    assert (await harness.refresh(client, first["refresh_token"])).status_code == status
    assert (await harness.refresh(client, second["refresh_token"])).status_code == status


async def test_a_client_may_be_allowed_more_than_the_setting_says(store: Store) -> None:
    async with token_harness(store, lifetimes=replace(SHARED, refresh_reuse=0)) as harness:
        client = await harness.register()
        await harness.store.clients.set_refresh_reuse(client.client_id, 7 * DAY)
        first = await harness.begin(client)
        second = (await harness.refresh(client, first["refresh_token"])).json()
        harness.now += 7 * DAY

        late = await harness.refresh(client, first["refresh_token"])

        assert late.json()["refresh_token"] == second["refresh_token"]


@pytest.mark.parametrize("named", [None, NOTES.identifier, MAIL.identifier, "https://elsewhere.example/mcp"])
async def test_a_resource_that_is_not_served_any_more_is_an_approval_that_is_over(
    store: Store, caplog: pytest.LogCaptureFixture, named: str | None
) -> None:
    caplog.set_level(logging.INFO, logger="gatepost.web")
    async with token_harness(store) as before:
        client = await before.register()
        tokens = await before.begin(client)
    async with token_harness(store, resources=(MAIL,)) as after:
        after.now = before.now
        assert refusal(await after.refresh(client, tokens["refresh_token"], resource=named)) == INVALID_GRANT
        assert [record.__dict__["reason"] for record in caplog.records] == ["resource_not_served"]
    # Neither spent nor revoked: a mistake in the settings can be undone.
    async with token_harness(store) as again:
        again.now = before.now + 121
        assert (await again.refresh(client, tokens["refresh_token"])).status_code == 200
