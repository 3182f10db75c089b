"""What strangers register is bounded together, whatever their addresses, on every backend."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

import pytest

from gatepost.oauth.limits import Rate, RegistrationBudget, Use
from gatepost.stores.conformance.records import NOW, approve, client, fp, redeem, transaction
from gatepost.stores.contract.store import Store

MANY: Final = Rate(1000, 600)
HOUR: Final = 3600
THREE: Final = RegistrationBudget(MANY, most_unused=3)


async def register(store: Store, *names: str, now: int = NOW, budget: RegistrationBudget = THREE) -> list[int]:
    return [await store.clients.register_client(client(name, created_at=now), budget=budget) for name in names]


async def registered(store: Store) -> set[str]:
    return {one.client_id for one in await store.clients.list_clients()}


async def test_all_registrations_share_a_rate(store: Store) -> None:
    budget = RegistrationBudget(Rate(2, 60))

    assert await register(store, *"abc", budget=budget) == [0, 0, 30]
    assert await register(store, "c", now=NOW + 29, budget=budget) == [1]
    assert await register(store, "c", now=NOW + 30, budget=budget) == [0]
    assert await registered(store) == {*"abc"}


async def test_the_oldest_unused_client_makes_room_once_it_is_an_hour_old(store: Store) -> None:
    assert await register(store, *"abcd") == [0, 0, 0, HOUR]
    assert await register(store, "d", now=NOW + HOUR - 1) == [1]
    assert await registered(store) == {*"abc"}

    assert await register(store, "d", now=NOW + HOUR) == [0]
    assert await registered(store) == {*"bcd"}


async def test_a_client_that_makes_room_takes_what_was_begun_with_it_along(store: Store) -> None:
    await register(store, "client-1", *"bc")
    code = await approve(store)
    await store.transactions.begin_transaction(transaction("open"))
    await store.transactions.begin_transaction(transaction("another's", client_id="b"))

    await register(store, "d", now=NOW + HOUR)

    assert await store.transactions.find_transaction("open", now=NOW) is None
    assert await store.transactions.find_transaction("another's", now=NOW) is not None
    assert await store.grants.find_code(code.code_fingerprint, now=NOW) is None


async def test_a_client_that_was_used_never_goes_and_leaves_room(store: Store) -> None:
    await register(store, *"abc")
    for number, name in enumerate("ab"):
        await redeem(store, str(number), client_id=name)

    assert await register(store, *"defg", now=NOW + HOUR) == [0, 0, 0, HOUR]
    assert await registered(store) == {*"abdef"}
    # Nor after all that is known of its use has been purged: its time is the purge's to judge.
    await store.grants.delete_grants(before=NOW + 10_000_000, limit=10)
    assert await register(store, *"gh", now=NOW + 3 * HOUR) == [0, 0]
    assert await registered(store) == {*"abfgh"}


async def test_a_client_that_changes_its_registration_stays_as_unused_and_as_old_as_it_was(store: Store) -> None:
    await register(store, *"abc")
    assert await store.clients.update_client(client("a", client_name="Another"))

    assert await register(store, "d", now=NOW + HOUR) == [0]
    assert await registered(store) == {*"bcd"}


async def test_a_client_that_an_operator_disabled_stays_and_leaves_room(store: Store) -> None:
    await register(store, *"abc")
    assert await store.clients.disable_client("a", now=NOW)

    assert await register(store, "d", now=NOW) == [0]
    assert await registered(store) == {*"abcd"}


async def test_clients_that_were_removed_or_purged_leave_room(store: Store) -> None:
    await register(store, *"abc")
    assert await store.clients.remove_client("a", now=NOW)
    assert await register(store, "d", now=NOW + 1) == [0]
    assert await register(store, "e") == [HOUR]
    assert await store.clients.delete_orphans(before=NOW, limit=9) == 2

    assert await registered(store) == {"d"}
    assert await register(store, *"efg", now=NOW + 1) == [0, 0, HOUR]


async def test_what_is_registered_without_a_budget_is_not_counted(store: Store) -> None:
    for name in "abcd":
        assert await store.clients.register_client(client(name)) == 0

    assert await register(store, *"efgh") == [0, 0, 0, HOUR]
    assert await registered(store) == {*"abcdefg"}


async def test_a_refusal_takes_nothing_of_the_rate(store: Store) -> None:
    budget = RegistrationBudget(Rate(3, 600), most_unused=2)

    assert await register(store, *"abcde", budget=budget) == [0, 0, HOUR, HOUR, HOUR]
    await store.clients.remove_client("a", now=NOW)
    assert await register(store, *"cd", budget=budget) == [0, HOUR]


async def test_of_parallel_registrations_as_many_are_kept_as_there_is_room_for(store: Store) -> None:
    by_rate = RegistrationBudget(Rate(7, 600))
    answers = await asyncio.gather(*(register(store, f"a{number}", budget=by_rate) for number in range(40)))
    assert answers.count([0]) == len(await registered(store)) == 7

    await store.limits.delete_limits(before=NOW + HOUR, limit=10)
    by_number = RegistrationBudget(MANY, most_unused=10)
    answers = await asyncio.gather(*(register(store, f"b{number}", budget=by_number) for number in range(40)))
    assert answers.count([0]) == 3
    assert len(await registered(store)) == 10


@pytest.mark.parametrize("back", [HOUR, 365 * 86_400])
async def test_a_clock_that_steps_back_shuts_nobody_out_for_longer_than_an_hour(store: Store, back: int) -> None:
    await register(store, *"abc")

    # The rate counts as spent, for no longer than its period; and what is from the future is old.
    assert await register(store, "d", now=NOW - back) == [1]
    assert await register(store, *"defg", now=NOW - back + 10) == [0, 0, 0, HOUR]
    assert await registered(store) == {*"def"}


async def test_the_budget_is_counted_beside_other_limits(store: Store) -> None:
    """It has a key of its own, which no address can spend."""
    budget = RegistrationBudget(Rate(1, 600))
    await store.limits.take([Use("register:address:all", Rate(1, 600))], now=NOW)

    assert await register(store, *"ab", budget=budget) == [0, 600]


async def test_an_update_of_a_client_that_is_gone_brings_it_not_back(store: Store) -> None:
    await register(store, "a")
    kept = await store.clients.find_client("a")
    assert kept is not None
    await store.clients.remove_client("a", now=NOW)

    assert not await store.clients.update_client(replace(kept, secret_fingerprint=fp("new")))
    assert await registered(store) == set()
