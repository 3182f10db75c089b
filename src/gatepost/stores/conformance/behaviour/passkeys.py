"""Passkeys, on every backend."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from gatepost.stores.conformance.records import NOW, user
from gatepost.stores.contract.passkeys import Passkey, PasskeyAddition, PasskeyUse, PasskeyView
from gatepost.stores.contract.store import Store


def passkey(credential_id: bytes = b"one", **changes: Any) -> Passkey:
    values: dict[str, Any] = {
        "subject": "user-1",
        "user_handle": b"handle",
        "rp_id": "mcp.example.com",
        "name": "Phone",
        "public_key": b"\xa5\x01",
        "sign_count": 0,
        "transports": ("internal", "hybrid"),
        "created_at": NOW,
        **changes,
    }
    return Passkey(credential_id, **values)


async def prepare(store: Store) -> None:
    await store.users.add_user(user("user-1", "ada"))
    await store.users.add_user(user("user-2", "bob"))


async def test_a_passkey_is_found_with_its_person(store: Store) -> None:
    assert await store.passkeys.add_passkey(passkey()) is PasskeyAddition.ADDED
    found = await store.passkeys.find_passkey(b"one")
    assert found == PasskeyView(passkey(), user("user-1", "ada"))
    assert await store.passkeys.find_passkey(b"two") is None


async def test_passkeys_are_listed_by_person_the_oldest_first(store: Store) -> None:
    kept = [passkey(b"b", created_at=NOW + 1), passkey(b"a", created_at=NOW + 2), passkey(b"c", subject="user-2")]
    for each in kept:
        await store.passkeys.add_passkey(each)
    assert await store.passkeys.list_passkeys("user-1") == kept[:2]
    assert await store.passkeys.list_passkeys("user-3") == []


async def test_a_credential_belongs_to_one_person_whoever_registers_it_again(store: Store) -> None:
    everybody = [passkey(subject=subject) for subject in ("user-1", "user-2", "user-1")]
    outcomes = await asyncio.gather(*(store.passkeys.add_passkey(each) for each in everybody))
    assert sorted(outcome.name for outcome in outcomes) == ["ADDED", "KNOWN", "KNOWN"]


async def test_a_person_has_only_so_many(store: Store) -> None:
    outcomes = [await store.passkeys.add_passkey(passkey(bytes([number])), most=2) for number in range(3)]
    assert [outcome.name for outcome in outcomes] == ["ADDED", "ADDED", "TOO_MANY"]
    assert await store.passkeys.add_passkey(passkey(b"x", subject="user-2"), most=2) is PasskeyAddition.ADDED


@pytest.mark.parametrize(
    ("kept", "sent", "outcome"),
    [
        (0, 0, PasskeyUse.ACCEPTED),
        (0, 7, PasskeyUse.ACCEPTED),
        (7, 8, PasskeyUse.ACCEPTED),
        (7, 7, PasskeyUse.COUNTER_BACK),
        (7, 6, PasskeyUse.COUNTER_BACK),
        (7, 0, PasskeyUse.COUNTER_BACK),
        (2**32 - 1, 2**32 - 1, PasskeyUse.COUNTER_BACK),
    ],
)
async def test_a_count_goes_on_or_stays_zero(store: Store, kept: int, sent: int, outcome: PasskeyUse) -> None:
    before = passkey(sign_count=kept)
    await store.passkeys.add_passkey(before)
    assert await store.passkeys.use_passkey(b"one", sign_count=sent, now=NOW + 5) is outcome
    after = replace(before, sign_count=sent, last_used_at=NOW + 5)
    assert await store.passkeys.list_passkeys("user-1") == [after if outcome is PasskeyUse.ACCEPTED else before]


async def test_of_uses_at_once_with_one_count_one_is_accepted(store: Store) -> None:
    await store.passkeys.add_passkey(passkey())
    uses = [store.passkeys.use_passkey(b"one", sign_count=1, now=NOW) for _ in range(4)]
    assert sorted(use.name for use in await asyncio.gather(*uses)) == ["ACCEPTED"] + ["COUNTER_BACK"] * 3


async def test_a_use_is_of_no_passkey_that_was_removed_and_no_earlier_than_the_last(store: Store) -> None:
    assert await store.passkeys.use_passkey(b"one", sign_count=0, now=NOW) is PasskeyUse.UNKNOWN
    await store.passkeys.add_passkey(passkey())
    for now in (NOW + 5, NOW + 1):
        await store.passkeys.use_passkey(b"one", sign_count=0, now=now)
    assert [each.last_used_at for each in await store.passkeys.list_passkeys("user-1")] == [NOW + 5]


async def test_only_its_own_person_renames_and_removes_a_passkey(store: Store) -> None:
    await store.passkeys.add_passkey(passkey())
    assert await store.passkeys.rename_passkey("user-2", b"one", "Mine") is False
    assert await store.passkeys.remove_passkey("user-2", b"one") is False
    assert await store.passkeys.list_passkeys("user-1") == [passkey()]

    assert await store.passkeys.rename_passkey("user-1", b"one", "Laptop") is True
    assert await store.passkeys.list_passkeys("user-1") == [passkey(name="Laptop")]
    assert await store.passkeys.remove_passkey("user-1", b"one") is True
    assert await store.passkeys.remove_passkey("user-1", b"one") is False
    assert await store.passkeys.find_passkey(b"one") is None


async def test_disabling_a_person_leaves_the_passkeys_and_says_so(store: Store) -> None:
    await store.passkeys.add_passkey(passkey())
    await store.users.disable_user("user-1", now=NOW)
    found = await store.passkeys.find_passkey(b"one")
    assert found is not None
    assert (found.passkey, found.user.disabled_at) == (passkey(), NOW)


async def test_one_that_has_to_be_the_first_is_the_only_one_for_its_host(store: Store) -> None:
    assert await store.passkeys.add_passkey(passkey(b"old", rp_id="old.example")) is PasskeyAddition.ADDED
    names = [bytes([number]) for number in range(5)]

    added = await asyncio.gather(*(store.passkeys.add_passkey(passkey(name), is_first=True) for name in names))

    assert added.count(PasskeyAddition.ADDED) == 1
    assert added.count(PasskeyAddition.NOT_FIRST) == 4
    assert len(await store.passkeys.list_passkeys("user-1")) == 2
    assert await store.passkeys.add_passkey(passkey(b"two")) is PasskeyAddition.ADDED


async def test_the_last_one_for_the_host_stays_where_one_has_to_be_left(store: Store) -> None:
    for name, rp_id in ((b"one", "mcp.example.com"), (b"two", "mcp.example.com"), (b"old", "old.example")):
        await store.passkeys.add_passkey(passkey(name, rp_id=rp_id))
    remove = partial(store.passkeys.remove_passkey, "user-1", keeps_passkey_at="mcp.example.com")

    assert sorted(await asyncio.gather(remove(b"one"), remove(b"two"))) == [False, True]

    (left,) = [each for each in await store.passkeys.list_passkeys("user-1") if each.rp_id == "mcp.example.com"]
    assert await remove(b"old") is True
    assert await store.passkeys.remove_passkey("user-1", left.credential_id) is True
