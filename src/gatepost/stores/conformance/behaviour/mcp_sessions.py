"""Sessions, streams and questions of the handshake era, on every backend."""

import asyncio
from dataclasses import replace

from gatepost.stores.contract.mcp import McpSession, StreamEvent
from gatepost.stores.contract.store import Store

NOW = 1_800_000_000
SESSION = McpSession(
    session_fingerprint=b"s" * 32,
    owner="https://mcp.example.com user_1 client_1",
    revision="2025-11-25",
    client_capabilities=b'{"sampling":{}}',
    created_at=NOW,
    expires_at=NOW + 60,
)
KEY = SESSION.session_fingerprint


async def begun(store: Store) -> McpSession:
    await store.mcp_sessions.start_session(SESSION, most=9, makes_room=True)
    return SESSION


async def test_a_session_is_found_by_its_owner_until_it_ends(store: Store) -> None:
    session = await begun(store)
    assert await store.mcp_sessions.find_session(KEY, owner=session.owner, now=NOW + 59) == session
    assert await store.mcp_sessions.find_session(KEY, owner=session.owner, now=NOW + 60) is None
    assert await store.mcp_sessions.find_session(KEY, owner="somebody else", now=NOW) is None
    assert await store.mcp_sessions.find_session(b"x" * 32, owner=session.owner, now=NOW) is None


async def test_use_moves_the_end_on_and_never_back(store: Store) -> None:
    session = await begun(store)
    await store.mcp_sessions.prolong_session(KEY, expires_at=NOW + 100)
    await store.mcp_sessions.prolong_session(KEY, expires_at=NOW + 10)
    await store.mcp_sessions.prolong_session(b"x" * 32, expires_at=NOW + 10)
    found = await store.mcp_sessions.find_session(KEY, owner=session.owner, now=NOW)
    assert found == replace(session, expires_at=NOW + 100)


async def test_only_its_owner_ends_a_session_and_all_that_is_its(store: Store) -> None:
    session = await begun(store)
    await store.mcp_sessions.subscribe(KEY, "notes://1", as_sent="notes://1", limit=5)
    await store.mcp_streams.append_event(KEY, "stream", b"one")
    await store.mcp_client_requests.open(KEY, "q", expires_at=NOW + 10)
    assert not await store.mcp_sessions.end_session(KEY, owner="somebody else")
    assert await store.mcp_sessions.end_session(KEY, owner=session.owner)
    assert not await store.mcp_sessions.end_session(KEY, owner=session.owner)
    assert await store.mcp_sessions.find_session(KEY, owner=session.owner, now=NOW) is None
    assert not await store.mcp_sessions.subscribed_as(KEY, "notes://1")
    assert await store.mcp_streams.events_after(KEY, "stream", 0, limit=5) == ([], False)
    assert not await store.mcp_client_requests.respond(KEY, "q", b"{}", now=NOW)


async def test_nothing_is_kept_for_a_session_that_is_over(store: Store) -> None:
    assert await store.mcp_streams.append_event(KEY, "stream", b"one") == 0
    await store.mcp_streams.finish_stream(KEY, "stream")
    await store.mcp_client_requests.open(KEY, "q", expires_at=NOW + 10)
    await store.mcp_sessions.set_log_level(KEY, "debug")
    assert not await store.mcp_sessions.subscribe(KEY, "notes://1", as_sent="notes://1", limit=5)
    await store.mcp_sessions.start_session(SESSION, most=9, makes_room=True)
    assert await store.mcp_streams.events_after(KEY, "stream", 0, limit=5) == ([], False)
    assert not await store.mcp_client_requests.respond(KEY, "q", b"{}", now=NOW)
    assert await store.mcp_sessions.find_session(KEY, owner=SESSION.owner, now=NOW) == SESSION


async def test_the_log_level_is_kept(store: Store) -> None:
    session = await begun(store)
    await store.mcp_sessions.set_log_level(KEY, "warning")
    found = await store.mcp_sessions.find_session(KEY, owner=session.owner, now=NOW)
    assert found == replace(session, log_level="warning")


async def test_subscriptions_are_counted_once_each_up_to_a_limit(store: Store) -> None:
    session = await begun(store)
    assert session.log_level is None
    assert await store.mcp_sessions.subscribe(KEY, "notes://1", as_sent="notes://1", limit=2)
    assert await store.mcp_sessions.subscribe(KEY, "notes://1", as_sent="notes://1", limit=2)
    assert await store.mcp_sessions.subscribe(KEY, "notes://2", as_sent="Notes://2", limit=2)
    assert await store.mcp_sessions.subscribe(KEY, "notes://2", as_sent="NOTES://2", limit=2)
    assert await store.mcp_sessions.subscribed_as(KEY, "notes://2") == "Notes://2"
    assert not await store.mcp_sessions.subscribe(KEY, "notes://3", as_sent="notes://3", limit=2)
    assert not await store.mcp_sessions.subscribed_as(KEY, "notes://3")
    await store.mcp_sessions.unsubscribe(KEY, "notes://1")
    await store.mcp_sessions.unsubscribe(KEY, "notes://1")
    assert not await store.mcp_sessions.subscribed_as(KEY, "notes://1")
    assert await store.mcp_sessions.subscribe(KEY, "notes://3", as_sent="notes://3", limit=2)


async def test_a_stream_is_read_from_where_a_client_left_it(store: Store) -> None:
    session = await begun(store)
    assert session.session_fingerprint == KEY
    numbers = [await store.mcp_streams.append_event(KEY, "a", message) for message in (b"", b"one", b"two")]
    assert numbers == [1, 2, 3]
    assert await store.mcp_streams.append_event(KEY, "b", b"other") == 1
    one, two = StreamEvent(2, b"one"), StreamEvent(3, b"two")
    assert await store.mcp_streams.events_after(KEY, "a", 1, limit=1) == ([one], False)
    assert await store.mcp_streams.events_after(KEY, "a", 1, limit=5) == ([one, two], False)
    await store.mcp_streams.finish_stream(KEY, "a")
    await store.mcp_streams.finish_stream(KEY, "a")
    assert await store.mcp_streams.events_after(KEY, "a", 1, limit=1) == ([one], False)
    assert await store.mcp_streams.events_after(KEY, "a", 1, limit=2) == ([one, two], True)
    assert await store.mcp_streams.events_after(KEY, "a", 3, limit=2) == ([], True)
    assert await store.mcp_streams.events_after(KEY, "unknown", 0, limit=2) == ([], False)


async def test_parallel_events_get_numbers_of_their_own(store: Store) -> None:
    session = await begun(store)
    assert session.session_fingerprint == KEY
    appended = await asyncio.gather(*(store.mcp_streams.append_event(KEY, "a", b"x") for _ in range(20)))
    assert sorted(appended) == list(range(1, 21))


async def test_the_first_answer_counts_and_stays_until_the_question_is_withdrawn(store: Store) -> None:
    session = await begun(store)
    assert session.session_fingerprint == KEY
    assert not await store.mcp_client_requests.respond(KEY, "q", b"early", now=NOW)
    await store.mcp_client_requests.open(KEY, "q", expires_at=NOW + 10)
    assert await store.mcp_client_requests.find_response(KEY, "q") is None
    answers = await asyncio.gather(
        *(store.mcp_client_requests.respond(KEY, "q", b"%d" % n, now=NOW) for n in range(10))
    )
    assert answers.count(True) == 1
    for _ in range(2):
        assert await store.mcp_client_requests.find_response(KEY, "q") == b"%d" % answers.index(True)
    await store.mcp_client_requests.withdraw(KEY, "q")
    assert await store.mcp_client_requests.find_response(KEY, "q") is None
    assert not await store.mcp_client_requests.respond(KEY, "q", b"late", now=NOW)


async def test_a_question_that_is_asked_again_waits_anew(store: Store) -> None:
    await begun(store)
    await store.mcp_client_requests.open(KEY, "q", expires_at=NOW + 10)
    assert await store.mcp_client_requests.respond(KEY, "q", b"old", now=NOW)
    await store.mcp_client_requests.open(KEY, "q", expires_at=NOW + 20)
    assert await store.mcp_client_requests.find_response(KEY, "q") is None
    assert await store.mcp_client_requests.respond(KEY, "q", b"new", now=NOW + 19)
    assert await store.mcp_client_requests.find_response(KEY, "q") == b"new"


async def test_a_question_can_be_withdrawn_and_ends_with_time(store: Store) -> None:
    session = await begun(store)
    assert session.session_fingerprint == KEY
    await store.mcp_client_requests.open(KEY, "q", expires_at=NOW + 10)
    assert not await store.mcp_client_requests.respond(KEY, "q", b"{}", now=NOW + 10)
    await store.mcp_client_requests.withdraw(KEY, "q")
    await store.mcp_client_requests.withdraw(KEY, "q")
    assert not await store.mcp_client_requests.respond(KEY, "q", b"{}", now=NOW)


async def test_ended_sessions_are_deleted_in_batches(store: Store) -> None:
    for number in range(5):
        ending = replace(SESSION, session_fingerprint=bytes([number]) * 32, expires_at=NOW + number)
        await store.mcp_sessions.start_session(ending, most=9, makes_room=True)
        await store.mcp_streams.append_event(ending.session_fingerprint, "a", b"x")
    assert await store.mcp_sessions.delete_sessions(before=NOW + 3, limit=3) == 3
    assert await store.mcp_sessions.delete_sessions(before=NOW + 3, limit=3) == 1
    assert await store.mcp_sessions.delete_sessions(before=NOW + 3, limit=3) == 0
    left = await store.mcp_sessions.find_session(b"\x04" * 32, owner=SESSION.owner, now=NOW)
    assert left is not None


async def test_a_forgotten_stream_leaves_the_others_alone(store: Store) -> None:
    session = await begun(store)
    for stream in ("one", "two"):
        await store.mcp_streams.append_event(session.session_fingerprint, stream, b"event")
        await store.mcp_streams.finish_stream(session.session_fingerprint, stream)
    await store.mcp_streams.forget_stream(session.session_fingerprint, "one")
    await store.mcp_streams.forget_stream(session.session_fingerprint, "never")
    assert await store.mcp_streams.events_after(session.session_fingerprint, "one", 0, limit=5) == ([], False)
    kept = ([StreamEvent(1, b"event")], True)
    assert await store.mcp_streams.events_after(session.session_fingerprint, "two", 0, limit=5) == kept


def numbered(number: int, *, owner: str = SESSION.owner, expires_at: int = NOW + 60) -> McpSession:
    return replace(SESSION, session_fingerprint=bytes([number]) * 32, owner=owner, expires_at=expires_at)


async def alive(store: Store, count: int, owner: str = SESSION.owner) -> list[int]:
    """Which of the first sessions there are."""
    found = [await store.mcp_sessions.find_session(bytes([n]) * 32, owner=owner, now=NOW) for n in range(count)]
    return [number for number, one in enumerate(found) if one is not None]


async def test_a_session_too_many_ends_the_owners_that_was_used_longest_ago(store: Store) -> None:
    for number, expires_at in enumerate([NOW + 30, NOW + 10, NOW + 20]):
        await store.mcp_sessions.start_session(numbered(number, expires_at=expires_at), most=3, makes_room=True)
    await store.mcp_streams.append_event(bytes([1]) * 32, "stream", b"one")
    others = replace(numbered(9), owner="somebody else")
    assert await store.mcp_sessions.start_session(others, most=3, makes_room=True) == []
    assert await store.mcp_sessions.start_session(numbered(3), most=3, makes_room=True) == [bytes([1]) * 32]
    assert await alive(store, 4) == [0, 2, 3]
    assert await store.mcp_streams.events_after(bytes([1]) * 32, "stream", 0, limit=5) == ([], False)
    assert await alive(store, 10, owner="somebody else") == [9]


async def test_sessions_are_counted_by_app_and_four_times_as_many_in_all(store: Store) -> None:
    apps = ["one", "one", "two", "three", "four", "five"]
    ended = [
        await store.mcp_sessions.start_session(
            replace(numbered(number, expires_at=NOW + 60 + number), app=app), most=1, makes_room=True
        )
        for number, app in enumerate(apps)
    ]
    assert ended == [[], [bytes([0]) * 32], [], [], [], [bytes([1]) * 32]]
    assert await alive(store, 6) == [2, 3, 4, 5]


async def test_where_no_room_is_made_a_session_too_many_is_not_kept(store: Store) -> None:
    assert await store.mcp_sessions.start_session(numbered(0), most=1, makes_room=False) == []
    assert await store.mcp_sessions.start_session(numbered(1), most=1, makes_room=False) is None
    assert await alive(store, 2) == [0]


async def test_sessions_that_have_expired_take_no_room(store: Store) -> None:
    await store.mcp_sessions.start_session(numbered(0, expires_at=NOW), most=1, makes_room=False)
    assert await store.mcp_sessions.start_session(numbered(1), most=1, makes_room=False) == []
    assert await alive(store, 2) == [1]


async def test_a_lower_number_of_sessions_holds_after_a_few_more(store: Store) -> None:
    for number in range(6):
        await store.mcp_sessions.start_session(numbered(number), most=9, makes_room=True)
    for number in range(6, 8):
        await store.mcp_sessions.start_session(numbered(number, expires_at=NOW + 61), most=2, makes_room=True)
    assert await alive(store, 8) == [6, 7]


async def test_of_sessions_that_begin_at_once_no_more_than_allowed_are_kept(store: Store) -> None:
    begun = [store.mcp_sessions.start_session(numbered(n), most=5, makes_room=True) for n in range(20)]
    ended = [key for keys in await asyncio.gather(*begun) for key in keys or ()]
    left = await alive(store, 20)
    assert len(left) == 5
    assert sorted(ended) == [bytes([n]) * 32 for n in range(20) if n not in left]
