"""What changed at run time, as processes tell each other, on every backend."""

import asyncio

from gatepost.stores.conformance.records import NOW
from gatepost.stores.contract.changes import LoggedChange
from gatepost.stores.contract.store import Store


async def note(store: Store, *changes: str, topic: str = "/mcp", origin: str = "me", now: int = NOW) -> None:
    await store.changes.append_changes(topic, changes, origin=origin, now=now)


async def test_what_was_noted_after_a_look_is_seen_at_the_next(store: Store) -> None:
    assert await store.changes.last_changes(["/mcp"]) == {"/mcp": 0}
    assert await store.changes.changes_after("/mcp", 0, limit=9) == []
    await note(store, "a", "b")
    await note(store, "c", origin="you")
    await note(store, "x", topic="/other")
    a, b, c = LoggedChange(1, "a", "me"), LoggedChange(2, "b", "me"), LoggedChange(3, "c", "you")
    assert await store.changes.changes_after("/mcp", 0, limit=2) == [a, b]
    assert await store.changes.changes_after("/mcp", 1, limit=9) == [b, c]
    assert await store.changes.last_changes(["/other", "/mcp", "/none"]) == {"/other": 1, "/mcp": 3, "/none": 0}
    assert await store.changes.last_changes([]) == {}


async def test_a_change_that_happens_again_has_a_new_number_and_takes_no_more_room(store: Store) -> None:
    await note(store, "a", "b")
    await note(store, "a", origin="you")
    assert await store.changes.changes_after("/mcp", 0, limit=9) == [
        LoggedChange(2, "b", "me"),
        LoggedChange(3, "a", "you"),
    ]


async def test_parallel_changes_get_numbers_of_their_own(store: Store) -> None:
    await asyncio.gather(*(note(store, str(number)) for number in range(20)))
    noted = await store.changes.changes_after("/mcp", 0, limit=99)
    assert [change.number for change in noted] == list(range(1, 21))


async def test_old_changes_are_deleted_in_batches_but_the_last_of_each_topic(store: Store) -> None:
    await note(store, "a", "b", "c", "d")
    await note(store, "x", topic="/other")
    await note(store, "e", now=NOW + 1)
    assert await store.changes.delete_changes(before=NOW - 1, limit=3) == 0
    assert await store.changes.delete_changes(before=NOW, limit=3) == 3
    assert await store.changes.delete_changes(before=NOW + 1, limit=3) == 1
    assert await store.changes.delete_changes(before=NOW + 1, limit=3) == 0
    assert [change.change for change in await store.changes.changes_after("/mcp", 0, limit=9)] == ["e"]
    await note(store, "f")
    assert await store.changes.last_changes(["/mcp", "/other"]) == {"/mcp": 6, "/other": 1}
