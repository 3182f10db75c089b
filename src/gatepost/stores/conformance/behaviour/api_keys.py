"""API keys and what they are made for, on every backend."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from gatepost.stores.conformance.records import NOW, RESOURCE, fp, user
from gatepost.stores.contract.api_keys import LAST_USE_SECONDS, ApiKey, KeyAddition, PresentedKey
from gatepost.stores.contract.endpoints import ServedEndpoint
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.users import LOCAL, Person


def api_key(number: int = 1, **changes: Any) -> ApiKey:
    first = ApiKey(
        key_id=f"key_{number}",
        name=f"script-{number}",
        key_fingerprint=fp(f"key {number}"),
        user_subject=None,
        scopes=("notes:read", "notes:write"),
        resource=RESOURCE,
        created_at=NOW,
    )
    return replace(first, **changes)


async def listed(store: Store, *, live_at: int | None = None) -> list[ApiKey]:
    return await store.api_keys.list_keys(live_at=live_at, limit=10)


async def test_a_key_is_found_by_its_fingerprint_and_is_its_own(store: Store) -> None:
    assert await store.api_keys.add_key(api_key(expires_at=NOW + 9)) is KeyAddition.ADDED
    found = await store.api_keys.find_key(fp("key 1"))
    assert found == PresentedKey(api_key(expires_at=NOW + 9), None, False, None, None)
    assert await store.api_keys.find_key(fp("key 2")) is None


async def test_a_key_for_a_person_is_found_with_them(store: Store) -> None:
    await store.users.add_user(user())
    await store.users.give_role("user-1", "reader")
    await store.api_keys.add_key(api_key(user_subject="user-1"))
    found = await store.api_keys.find_key(fp("key 1"))
    assert found is not None
    assert found.person == Person(LOCAL, "user-1", "ada", None, user().profile.to_text(), ("reader",))
    assert (found.user_disabled, found.user_issuer, found.display_name) == (False, LOCAL, "ada")


async def test_only_a_person_who_is_there_and_not_disabled_has_keys(store: Store) -> None:
    assert await store.api_keys.add_key(api_key(user_subject="user-1")) is KeyAddition.NO_PERSON
    await store.users.add_user(user())
    await store.users.disable_user("user-1", now=NOW)
    assert await store.api_keys.add_key(api_key(user_subject="user-1")) is KeyAddition.NO_PERSON
    assert await listed(store) == []


async def test_the_keys_of_a_person_who_is_disabled_end_for_good_and_no_others(store: Store) -> None:
    await store.users.add_user(user())
    await store.api_keys.add_key(api_key(user_subject="user-1"))
    await store.api_keys.add_key(api_key(2))
    await store.users.disable_user("user-1", now=NOW + 1)
    await store.users.enable_user("user-1")
    assert await listed(store) == [api_key(user_subject="user-1", revoked_at=NOW + 1), api_key(2)]


async def test_no_two_keys_that_count_have_one_name(store: Store) -> None:
    await store.api_keys.add_key(api_key(expires_at=NOW + 9))
    assert await store.api_keys.add_key(api_key(2, name="script-1", created_at=NOW + 8)) is KeyAddition.NAME_TAKEN
    assert await store.api_keys.add_key(api_key(2, name="script-1", created_at=NOW + 9)) is KeyAddition.ADDED
    await store.api_keys.revoke_key("script-1", now=NOW + 10)
    assert await store.api_keys.add_key(api_key(3, name="script-1", created_at=NOW + 11)) is KeyAddition.ADDED


async def test_of_any_number_who_take_one_name_at_once_one_gets_it(store: Store) -> None:
    outcomes = await asyncio.gather(*(store.api_keys.add_key(api_key(n, name="one")) for n in range(8)))
    assert sorted(outcomes, key=lambda outcome: outcome.value) == [KeyAddition.ADDED, *[KeyAddition.NAME_TAKEN] * 7]


async def test_a_key_is_revoked_once_by_name_or_id(store: Store) -> None:
    for number in (1, 2, 3):
        await store.api_keys.add_key(api_key(number, expires_at=NOW + 100))
    assert await store.api_keys.revoke_key("script-1", now=NOW + 1) == api_key(1, expires_at=NOW + 100)
    assert await store.api_keys.revoke_key("key_2", now=NOW + 2) == api_key(2, expires_at=NOW + 100)
    for name in ("script-1", "key_2", "script-4"):
        assert await store.api_keys.revoke_key(name, now=NOW + 3) is None
    assert await store.api_keys.revoke_key("script-3", now=NOW + 100) is None
    found = await store.api_keys.find_key(fp("key 1"))
    assert found is not None
    assert found.key.revoked_at == NOW + 1


async def test_of_a_key_that_is_called_like_the_id_of_another_one_the_id_is_meant(store: Store) -> None:
    await store.api_keys.add_key(api_key(1))
    await store.api_keys.add_key(api_key(2, name="key_1"))

    assert await store.api_keys.list_revoked(["key_1", "unknown"]) == set()
    assert await store.api_keys.revoke_key("key_1", now=NOW) == api_key(1)
    assert await store.api_keys.list_revoked(["key_1", "unknown"]) == {"key_1"}
    assert await listed(store, live_at=NOW) == [api_key(2, name="key_1")]


async def test_lists_show_the_newest_first_and_perhaps_those_alone_that_count(store: Store) -> None:
    every = [api_key(3, created_at=NOW + 2), api_key(1, expires_at=NOW + 5), api_key(2)]
    for key in reversed(every):
        await store.api_keys.add_key(key)
    assert await listed(store) == every
    assert await store.api_keys.list_keys(live_at=None, limit=2) == every[:2]
    for before in range(len(every)):
        place = every[before].created_at, every[before].key_id
        assert await store.api_keys.list_keys(live_at=None, limit=9, before=place) == every[before + 1 :]
    assert await listed(store, live_at=NOW + 5) == [every[0], every[2]]
    await store.api_keys.revoke_key("script-2", now=NOW + 5)
    assert await listed(store, live_at=NOW + 5) == every[:1]


async def test_the_last_use_is_written_at_most_every_few_minutes_and_never_goes_back(store: Store) -> None:
    await store.api_keys.add_key(api_key())
    for at, kept in (
        (NOW, NOW),
        (NOW + LAST_USE_SECONDS - 1, NOW),
        (NOW - 1000, NOW),
        (NOW + LAST_USE_SECONDS, NOW + LAST_USE_SECONDS),
    ):
        await store.api_keys.note_use("key_1", at=at)
        assert await listed(store) == [api_key(last_used_at=kept)]


async def test_keys_that_ended_go_and_no_others(store: Store) -> None:
    await store.api_keys.add_key(api_key(1, expires_at=NOW + 1))
    await store.api_keys.add_key(api_key(2, expires_at=NOW + 9))
    await store.api_keys.add_key(api_key(3))
    await store.api_keys.add_key(api_key(4))
    await store.api_keys.revoke_key("script-3", now=NOW + 2)
    assert await store.api_keys.delete_keys(before=NOW, limit=10) == 0
    assert await store.api_keys.delete_keys(before=NOW + 2, limit=1) == 1
    assert await store.api_keys.delete_keys(before=NOW + 2, limit=10) == 1
    assert await listed(store) == [api_key(2, expires_at=NOW + 9), api_key(4)]


async def test_keys_end_with_all_access_that_began_before_a_time(store: Store) -> None:
    await store.api_keys.add_key(api_key(1, created_at=NOW - 1))
    await store.api_keys.add_key(api_key(2))
    ended = await store.approvals.revoke_all(issued_before=NOW, reason="asked", now=NOW + 5)
    assert ended["API keys"] == 1
    assert await listed(store) == [api_key(2), api_key(1, created_at=NOW - 1, revoked_at=NOW + 5)]
    assert (await store.approvals.revoke_all(issued_before=NOW, reason="asked", now=NOW + 6))["API keys"] == 0


async def test_what_is_served_at_a_path_is_what_was_noted_last(store: Store) -> None:
    assert await store.endpoints.list_endpoints() == []
    await store.endpoints.note_endpoints([ServedEndpoint("/mcp", ("a", "b")), ServedEndpoint("/B", ("c",))])
    await store.endpoints.note_endpoints([ServedEndpoint("/mcp", ("b",))])
    assert await store.endpoints.list_endpoints() == [ServedEndpoint("/B", ("c",)), ServedEndpoint("/mcp", ("b",))]
