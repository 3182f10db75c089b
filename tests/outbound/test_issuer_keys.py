"""Keys of issuers elsewhere: how often they are fetched, and what counts while they cannot be."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from gatepost.outbound.document_cache import Loaded
from gatepost.outbound.fetching import FetchFailed
from gatepost.outbound.issuer_keys import FLOOR, PAUSE, IssuerKeys, IssuerUnavailable
from gatepost.tokens.client_keys import Key

LIFETIME = 600
OLD: Sequence[Key] = ({"kid": "old"},)
NEW: Sequence[Key] = ({"kid": "new"},)


@dataclass
class World:
    now: int = 1_000
    served: Sequence[Key] = OLD
    is_down: bool = False
    fetches: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()
        self.keys = IssuerKeys(issuer="https://id.example.com", load=self.load, now=lambda: self.now)

    async def load(self) -> Loaded[Sequence[Key]]:
        self.fetches += 1
        await self.gate.wait()
        if self.is_down:
            raise FetchFailed("status")
        return Loaded(self.served, LIFETIME)

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


async def test_keys_are_fetched_once_for_all_who_ask_and_kept() -> None:
    world = World()
    world.gate.clear()
    asking = [asyncio.create_task(world.keys.current()) for _ in range(50)]
    await world.settle()
    world.gate.set()
    assert await asyncio.gather(*asking) == [OLD] * 50
    world.now += LIFETIME - 1
    assert (await world.keys.current(), world.fetches) == (OLD, 1)


async def test_one_who_leaves_ends_no_fetch_for_the_others() -> None:
    world = World()
    world.gate.clear()
    first, second = asyncio.create_task(world.keys.current()), asyncio.create_task(world.keys.current())
    await world.settle()
    first.cancel()
    await world.settle()
    world.gate.set()
    assert (await second, world.fetches) == (OLD, 1)


@pytest.mark.parametrize("step", [LIFETIME, -1])
async def test_keys_that_were_kept_too_long_or_come_from_the_future_are_fetched_again(step: int) -> None:
    world = World()
    await world.keys.current()
    world.now += step
    world.served = NEW
    assert (await world.keys.current(), world.fetches) == (NEW, 2)


async def test_without_any_key_it_cannot_be_known_and_the_next_attempt_has_to_wait() -> None:
    world = World(is_down=True)
    for _ in range(20):
        with pytest.raises(IssuerUnavailable):
            await world.keys.current()
    assert world.fetches == 1
    world.now += PAUSE
    world.is_down = False
    assert (await world.keys.current(), world.fetches) == (OLD, 2)


async def test_keys_count_on_while_the_issuer_is_down_and_only_the_first_who_asks_waits_for_that() -> None:
    world = World()
    await world.keys.current()
    world.is_down = True
    world.now += LIFETIME
    assert await world.keys.current() == OLD
    world.gate.clear()  # from now on nobody answers at all
    for _ in range(24 * 3600 // PAUSE):
        world.now += PAUSE
        async with asyncio.timeout(1):
            assert await world.keys.current() == OLD
    world.gate.set()
    world.is_down = False
    world.served = NEW
    await world.settle()
    assert (await world.keys.current(), world.fetches) == (NEW, 3)


async def test_an_unknown_key_has_them_fetched_again_at_once_and_a_flood_of_them_once_in_a_floor() -> None:
    world = World()
    await world.keys.current()
    world.served = NEW
    assert (await world.keys.newer(), world.fetches) == (NEW, 2)
    for second in range(1, 10 * FLOOR + 1):
        world.now += 1
        for _ in range(100):
            assert await world.keys.newer() == NEW
        assert world.fetches == 2 + second // FLOOR
    assert await world.keys.current() == NEW


async def test_an_unknown_key_is_not_refused_while_the_issuer_cannot_be_asked_for_it() -> None:
    world = World()
    await world.keys.current()
    world.is_down = True
    for _ in range(50):
        with pytest.raises(IssuerUnavailable):
            await world.keys.newer()
    assert (await world.keys.current(), world.fetches) == (OLD, 2)
    world.now += PAUSE
    world.is_down = False
    assert await world.keys.newer() == OLD
