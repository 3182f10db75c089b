"""Which key seals, on every backend."""

import asyncio

from gatepost.stores.protocols import Store


async def test_a_new_store_has_noted_no_key(store: Store) -> None:
    assert await store.keys.sealing_key_id() is None


async def test_the_first_note_is_kept_and_replaced_by_whoever_knows_it(store: Store) -> None:
    assert await store.keys.note_sealing_key("a", replaces=None) == "a"
    assert await store.keys.note_sealing_key("b", replaces=None) == "a"
    assert await store.keys.note_sealing_key("b", replaces="c") == "a"
    assert await store.keys.sealing_key_id() == "a"
    assert await store.keys.note_sealing_key("b", replaces="a") == "b"
    assert await store.keys.sealing_key_id() == "b"


async def test_of_many_that_start_at_once_one_note_stands_and_all_learn_it(store: Store) -> None:
    answers = await asyncio.gather(*(store.keys.note_sealing_key(str(number), replaces=None) for number in range(20)))
    assert set(answers) == {await store.keys.sealing_key_id()}
