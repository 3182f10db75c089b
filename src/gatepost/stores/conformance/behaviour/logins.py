"""Logins under way, on every backend."""

import asyncio

import pytest

from gatepost.stores.conformance.records import NOW, fp
from gatepost.stores.contract.logins import PendingLogin
from gatepost.stores.contract.store import Store

LOGIN = PendingLogin(fp("state"), "browser-1", "github", b"sealed", NOW + 600)


async def test_a_login_is_taken_as_it_was_and_once(store: Store) -> None:
    await store.logins.begin_login(LOGIN)

    assert await store.logins.take_login(fp("state"), browser_id="browser-1", place="github", now=NOW + 599) == LOGIN
    assert await store.logins.take_login(fp("state"), browser_id="browser-1", place="github", now=NOW) is None


@pytest.mark.parametrize(
    "changes",
    [{"browser_id": "browser-2"}, {"place": "google"}, {"now": NOW + 600}],
)
async def test_another_browser_or_place_takes_nothing_and_spoils_nothing(
    store: Store, changes: dict[str, object]
) -> None:
    await store.logins.begin_login(LOGIN)
    rightly = {"browser_id": "browser-1", "place": "github", "now": NOW}

    assert await store.logins.take_login(fp("other"), **rightly) is None  # type: ignore[arg-type]  # by keyword
    assert await store.logins.take_login(fp("state"), **{**rightly, **changes}) is None  # type: ignore[arg-type]  # likewise
    assert await store.logins.take_login(fp("state"), **rightly) == LOGIN  # type: ignore[arg-type]  # likewise


async def test_of_many_at_once_one_takes_it(store: Store) -> None:
    await store.logins.begin_login(LOGIN)

    taken = await asyncio.gather(
        *(store.logins.take_login(fp("state"), browser_id="browser-1", place="github", now=NOW) for _ in range(20))
    )

    assert [one for one in taken if one is not None] == [LOGIN]


async def test_those_that_are_over_are_deleted_in_batches(store: Store) -> None:
    for number in range(3):
        await store.logins.begin_login(PendingLogin(fp(str(number)), "browser-1", "github", b"", NOW + number))

    assert await store.logins.delete_logins(before=NOW + 1, limit=1) == 1
    assert await store.logins.delete_logins(before=NOW + 1, limit=9) == 1
    assert await store.logins.take_login(fp("2"), browser_id="browser-1", place="github", now=NOW) is not None


async def test_the_newest_are_kept(store: Store) -> None:
    for number in range(5):
        begun = PendingLogin(fp(str(number)), "browser-1", "github", b"", NOW + 600)
        await store.logins.begin_login(begun, most=3)

    taken = [
        await store.logins.take_login(fp(str(number)), browser_id="browser-1", place="github", now=NOW)
        for number in range(5)
    ]
    assert [one is not None for one in taken] == [False, False, True, True, True]
