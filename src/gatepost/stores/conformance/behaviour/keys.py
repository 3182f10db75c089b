"""Which key seals, on every backend."""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

from gatepost.stores.conformance.records import NOW
from gatepost.stores.contract.keys import KeyRetirement, SealedSigningKey
from gatepost.stores.contract.store import Store


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


def signing_key(name: str, **changes: Any) -> SealedSigningKey:
    return replace(SealedSigningKey(name, "ES256", b"sealed " + name.encode(), NOW, signs_from=NOW), **changes)


async def test_of_many_that_begin_to_sign_one_succeeds(store: Store) -> None:
    keys = [signing_key(str(number)) for number in range(10)]
    began = await asyncio.gather(*(store.keys.begin_signing(key, now=NOW) for key in keys))
    assert sum(began) == 1
    assert await store.keys.signing_keys(now=NOW) == [keys[began.index(True)]]


async def test_a_rotation_ends_the_others_and_keeps_the_order_in_which_they_sign(store: Store) -> None:
    first, second, third = (
        signing_key("c"),
        signing_key("b", signs_from=NOW + 10),
        signing_key("a", signs_from=NOW + 20),
    )
    assert await store.keys.begin_signing(first, now=NOW)
    await store.keys.rotate_signing_key(second, others_end_at=NOW + 50)
    await store.keys.rotate_signing_key(third, others_end_at=NOW + 60)

    first, second = replace(first, ends_at=NOW + 50), replace(second, ends_at=NOW + 60)
    assert await store.keys.signing_keys(now=NOW) == [first, second, third]
    assert await store.keys.signing_keys(now=NOW + 50) == [second, third]
    assert await store.keys.signing_keys(now=NOW + 60) == [third]


async def test_of_two_keys_of_one_second_the_one_that_replaced_the_other_signs(store: Store) -> None:
    for old, new in (("a", "b"), ("d", "c")):
        await store.keys.rotate_signing_key(signing_key(old), others_end_at=NOW + 100)
        await store.keys.rotate_signing_key(signing_key(new), others_end_at=NOW + 100)
        assert (await store.keys.signing_keys(now=NOW))[-1].key_id == new


async def test_a_retired_key_is_gone_at_once_and_a_new_one_may_begin(store: Store) -> None:
    assert await store.keys.begin_signing(signing_key("a"), now=NOW)
    retire = partial(store.keys.retire_signing_key, now=NOW + 1, even_last=True)
    assert [await retire(name) for name in ("a", "a", "b")] == [
        KeyRetirement.RETIRED,
        KeyRetirement.UNKNOWN,
        KeyRetirement.UNKNOWN,
    ]
    assert await store.keys.signing_keys(now=NOW + 1) == []
    assert await store.keys.begin_signing(signing_key("b"), now=NOW + 1)


async def test_a_key_is_not_retired_before_another_one_signs(store: Store) -> None:
    await store.keys.begin_signing(signing_key("a"), now=NOW)
    await store.keys.rotate_signing_key(signing_key("b", signs_from=NOW + 10), others_end_at=NOW + 50)
    before = await store.keys.signing_keys(now=NOW)

    assert await store.keys.retire_signing_key("a", now=NOW + 9) is KeyRetirement.ALONE
    assert await store.keys.signing_keys(now=NOW) == before
    assert await store.keys.retire_signing_key("a", now=NOW + 10) is KeyRetirement.RETIRED
    assert await store.keys.retire_signing_key("b", now=NOW + 10) is KeyRetirement.ALONE


async def test_the_newest_key_is_not_retired_while_the_others_are_about_to_end(store: Store) -> None:
    await store.keys.begin_signing(signing_key("a"), now=NOW)
    await store.keys.rotate_signing_key(signing_key("b"), others_end_at=NOW + 50)

    assert await store.keys.retire_signing_key("b", now=NOW) is KeyRetirement.ALONE
    assert [key.key_id for key in await store.keys.signing_keys(now=NOW + 50)] == ["b"]


async def test_of_two_keys_that_are_retired_at_once_one_is_left(store: Store) -> None:
    await store.keys.begin_signing(signing_key("a"), now=NOW)
    await store.keys.rotate_signing_key(signing_key("b"), others_end_at=NOW + 50)

    outcomes = await asyncio.gather(*(store.keys.retire_signing_key(name, now=NOW) for name in "ab"))

    assert sorted(outcome.name for outcome in outcomes) == ["ALONE", "RETIRED"]
    assert len(await store.keys.signing_keys(now=NOW)) == 1


async def test_a_key_is_sealed_anew(store: Store) -> None:
    await store.keys.begin_signing(signing_key("a"), now=NOW)
    await store.keys.reseal_signing_key("a", b"anew")
    await store.keys.reseal_signing_key("unknown", b"anew")
    assert await store.keys.signing_keys(now=NOW) == [signing_key("a", sealed_secret=b"anew")]
