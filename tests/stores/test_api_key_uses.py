"""Uses of API keys are noted at once and written behind."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import cast

from gatepost.stores.api_key_uses import ApiKeyUses
from gatepost.stores.conformance.behaviour.api_keys import api_key
from gatepost.stores.conformance.records import NOW
from gatepost.stores.contract.api_keys import LAST_USE_SECONDS, ApiKeyStore
from gatepost.stores.contract.errors import StoreUnavailable


class Keys:
    """The one operation of `ApiKeyStore` that is used."""

    def __init__(self) -> None:
        self.written: list[tuple[str, int]] = []
        self.is_down = False
        self.wrote = asyncio.Event()

    async def note_use(self, key_id: str, *, at: int) -> None:
        if self.is_down:
            raise StoreUnavailable("down")
        self.written.append((key_id, at))
        self.wrote.set()


def uses() -> tuple[Keys, ApiKeyUses]:
    keys = Keys()
    return keys, ApiKeyUses(cast("ApiKeyStore", keys))


async def test_a_use_is_written_when_none_was_for_some_minutes_and_once_for_a_key() -> None:
    keys, noted = uses()
    used = replace(api_key(2), last_used_at=NOW)
    noted.note(api_key(1), at=NOW)
    noted.note(api_key(1), at=NOW + 1)
    noted.note(used, at=NOW + LAST_USE_SECONDS - 1)
    await noted.write()
    noted.note(used, at=NOW + LAST_USE_SECONDS)
    await noted.write()
    await noted.write()
    assert keys.written == [("key_1", NOW + 1), ("key_2", NOW + LAST_USE_SECONDS)]


async def test_what_the_store_cannot_take_waits_and_a_later_use_goes_first() -> None:
    keys, noted = uses()
    keys.is_down = True
    for number in (1, 2):
        noted.note(api_key(number), at=NOW)
    await noted.write()
    noted.note(api_key(1), at=NOW + 3)
    keys.is_down = False
    await noted.write()
    assert sorted(keys.written) == [("key_1", NOW + 3), ("key_2", NOW)]


async def test_uses_are_written_in_the_background_and_once_more_at_the_end() -> None:
    keys, noted = uses()
    turns: asyncio.Queue[None] = asyncio.Queue()
    async with noted.writing(turns.get):
        noted.note(api_key(1), at=NOW)
        turns.put_nowait(None)
        await asyncio.wait_for(keys.wrote.wait(), 5)
        noted.note(api_key(2), at=NOW)
    assert keys.written == [("key_1", NOW), ("key_2", NOW)]
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "gatepost-api-key-uses"]
