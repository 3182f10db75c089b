"""Who carries a stream, and how much of it is kept, on every backend."""

from gatepost.stores.conformance.records import NOW, fp
from gatepost.stores.contract.mcp import McpSession, StreamEvent
from gatepost.stores.contract.store import Store

SESSION = McpSession(fp("session"), "owner", "2025-11-25", b"{}", NOW, NOW + 60)
KEY = SESSION.session_fingerprint


async def prepare(store: Store) -> None:
    await store.mcp_sessions.start_session(SESSION, most=9, makes_room=True)


async def append(store: Store, message: bytes, *, connection: str | None = None, most: int | None = None) -> int:
    return await store.mcp_streams.append_event(KEY, "a", message, connection=connection, most=most)


async def messages(store: Store, *, connection: str | None = None) -> tuple[list[bytes], bool]:
    events, is_finished = await store.mcp_streams.events_after(KEY, "a", 0, limit=9, connection=connection)
    return [event.message for event in events], is_finished


async def test_only_who_carries_a_stream_appends_to_it(store: Store) -> None:
    assert await append(store, b"nobody", connection="one") == 0
    assert await store.mcp_streams.attach_stream(KEY, "a", "one")
    assert await append(store, b"one", connection="one") == 1
    assert await store.mcp_streams.attach_stream(KEY, "a", "two")
    assert await append(store, b"late", connection="one") == 0
    assert await append(store, b"two", connection="two") == 2
    assert await append(store, b"whoever") == 3
    assert await messages(store) == ([b"one", b"two", b"whoever"], False)


async def test_for_who_lost_a_stream_it_has_ended(store: Store) -> None:
    await append(store, b"one")
    await store.mcp_streams.attach_stream(KEY, "a", "one")
    assert await messages(store, connection="one") == ([b"one"], False)
    await store.mcp_streams.attach_stream(KEY, "a", "two")
    assert await messages(store, connection="one") == ([], True)
    assert await messages(store, connection="two") == ([b"one"], False)
    await store.mcp_streams.finish_stream(KEY, "a")
    assert await messages(store, connection="two") == ([b"one"], True)


async def test_each_stream_has_a_connection_of_its_own(store: Store) -> None:
    for stream_id in ("a", "b"):
        await store.mcp_streams.append_event(KEY, stream_id, b"one")
        await store.mcp_streams.attach_stream(KEY, stream_id, f"connection of {stream_id}")
    await store.mcp_streams.append_event(KEY, "c", b"one")
    assert await messages(store, connection="connection of a") == ([b"one"], False)
    assert await store.mcp_streams.attached_streams([KEY, fp("unknown")]) == {(KEY, "a"), (KEY, "b")}
    await store.mcp_streams.forget_stream(KEY, "a")
    assert await store.mcp_streams.attached_streams([KEY]) == {(KEY, "b")}


async def test_nobody_carries_a_stream_of_a_session_that_is_over(store: Store) -> None:
    await store.mcp_streams.attach_stream(KEY, "a", "one")
    await store.mcp_sessions.end_session(KEY, owner=SESSION.owner)
    assert not await store.mcp_streams.attach_stream(KEY, "a", "two")
    assert await append(store, b"one", connection="one") == 0
    assert await messages(store, connection="one") == ([], True)
    await store.mcp_sessions.start_session(SESSION, most=9, makes_room=True)
    assert await store.mcp_streams.attached_streams([KEY]) == set()


async def test_of_a_bounded_stream_the_latest_events_are_kept_under_their_numbers(store: Store) -> None:
    for number in range(1, 6):
        assert await append(store, b"%d" % number, most=2) == number
    four, five = StreamEvent(4, b"4"), StreamEvent(5, b"5")
    assert await store.mcp_streams.events_after(KEY, "a", 0, limit=9) == ([four, five], False)
    assert await store.mcp_streams.events_after(KEY, "a", 3, limit=1) == ([four], False)
    assert await store.mcp_streams.events_after(KEY, "a", 4, limit=1) == ([five], False)
    assert await append(store, b"6", most=1) == 6
    await store.mcp_streams.finish_stream(KEY, "a")
    assert await store.mcp_streams.events_after(KEY, "a", 4, limit=1) == ([StreamEvent(6, b"6")], True)
    assert await store.mcp_streams.events_after(KEY, "a", 6, limit=1) == ([], True)
