"""Limits are one for all who ask, on every backend."""

from __future__ import annotations

import asyncio

from gatepost.oauth.limits import Rate, Use
from gatepost.stores.conformance.records import NOW
from gatepost.stores.contract.store import Store

TWO_PER_MINUTE = Rate(2, 60)


def use(key: str) -> Use:
    return Use(key, TWO_PER_MINUTE)


async def test_uses_are_taken_until_they_are_too_many_and_again_later(store: Store) -> None:
    answers = [await store.limits.take([use("a")], now=now) for now in (NOW, NOW, NOW, NOW + 29, NOW + 30, NOW + 30)]

    assert answers == [0, 0, 30, 1, 0, 30]


async def test_keys_do_not_touch_each_other(store: Store) -> None:
    assert [await store.limits.take([use(key)], now=NOW) for key in "aabba"] == [0, 0, 0, 0, 30]


async def test_of_several_uses_all_are_taken_or_none(store: Store) -> None:
    for _ in range(2):
        await store.limits.take([use("busy")], now=NOW)

    assert await store.limits.take([use("quiet"), use("busy")], now=NOW) == 30
    assert [await store.limits.take([use("quiet")], now=NOW) for _ in range(3)] == [0, 0, 30]


async def test_nothing_to_take_is_allowed(store: Store) -> None:
    assert await store.limits.take([], now=NOW) == 0


async def test_parallel_uses_are_counted_one_by_one(store: Store) -> None:
    answers = await asyncio.gather(*(store.limits.take([Use("a", Rate(7, 60))], now=NOW) for _ in range(40)))

    assert answers.count(0) == 7


async def test_rows_that_mean_nothing_any_more_are_purged(store: Store) -> None:
    for number in range(5):
        await store.limits.take([use(f"{number}")], now=NOW)
    await store.limits.take([use("later")], now=NOW + 29)

    assert await store.limits.delete_limits(before=NOW + 29, limit=10) == 0
    assert [await store.limits.delete_limits(before=NOW + 30, limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert [await store.limits.take([use("later")], now=NOW + 30) for _ in range(2)] == [0, 29]


async def test_each_new_row_removes_two_old_ones_so_a_flood_bounds_itself(store: Store) -> None:
    for number in range(6):
        await store.limits.take([use(f"{number}")], now=NOW)
    for number in range(6, 9):
        await store.limits.take([use(f"{number}")], now=NOW + 60)

    assert await store.limits.delete_limits(before=NOW + 1000, limit=100) == 3


async def test_a_clock_that_steps_back_shuts_nobody_out_for_longer_than_the_period(store: Store) -> None:
    for _ in range(2):
        await store.limits.take([use("a")], now=NOW)
    earlier = NOW - 365 * 86_400

    assert await store.limits.take([use("a")], now=earlier) == 30
    assert [await store.limits.take([use("a")], now=earlier + later) for later in (30, 30, 60)] == [0, 30, 0]


async def test_what_is_given_back_can_be_taken_again_and_is_never_more_than_was_taken(store: Store) -> None:
    for _ in range(2):
        await store.limits.take([use("a")], now=NOW)

    await store.limits.give_back([use("a"), use("never seen")], now=NOW)
    assert [await store.limits.take([use("a")], now=NOW) for _ in range(2)] == [0, 30]

    for _ in range(5):
        await store.limits.give_back([use("a")], now=NOW)
    assert [await store.limits.take([use("a")], now=NOW) for _ in range(3)] == [0, 0, 30]
