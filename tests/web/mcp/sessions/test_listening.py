"""GET: the stream of a session, taken up again, limited, ended."""

import asyncio

import pytest

from gatepost.server.changes.bus import Change
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.tokens.opaque import fingerprint
from gatepost.web.mcp.sessions.lifecycle import owner_of
from tests.patience import PATIENCE
from tests.web.mcp.mcp_harness import RESOURCE
from tests.web.mcp.sessions.session_world import Connection, SessionWorld, call, principal, request

CHANGED = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {}}
UPDATED = {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": "note://1"}}


@pytest.fixture
def world() -> SessionWorld:
    return SessionWorld()


async def opened(connection: Connection) -> Connection:
    await connection.until(lambda: bool(connection.raw))
    assert connection.status == 200
    return connection


async def publish(world: SessionWorld) -> None:
    await world.era.listening.publish(Change("tools"))


async def test_a_get_without_a_session_is_not_offered(world: SessionWorld) -> None:
    answer = await world.listen(None).ended()
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


async def test_head_is_told_what_get_would_be_and_opens_no_stream(world: SessionWorld) -> None:
    """RFC 9110 section 9.3.2. A listener that a HEAD left behind would take the place of the client's stream."""
    session, other = await world.begin(), await world.begin()
    listening = await opened(world.listen(session))
    alike = ("content-type", "cache-control", "x-accel-buffering", "allow")
    for headers in ({}, {"accept": "application/json"}, {"mcp_protocol_version": "x"}):
        head = await world.send(None, session=session, method="HEAD", **headers)
        get = world.listen(other, **headers)
        await asyncio.wait_for(get.changed.wait(), 10)
        get.gone.set()
        assert (head.status, *map(head.headers.get, alike)) == (get.status, *map(get.headers.get, alike))
        assert head.raw == b"" or head.status >= 400
    assert (await world.send(None, session="gp_ms_x", method="HEAD")).status == 404
    unnamed = await world.send(None, method="HEAD")
    assert (unnamed.status, unnamed.headers["allow"]) == (405, "POST")

    await publish(world)
    assert await listening.until_messages(1) == [CHANGED]


async def test_a_get_must_take_streams_and_name_its_session(world: SessionWorld) -> None:
    session = await world.begin()
    assert (await world.listen(session, accept="application/json").ended()).status == 406
    assert (await world.listen("gp_ms_x").ended()).status == 404
    assert (await world.listen(session, mcp_protocol_version="1999-01-01").ended()).status == 400


async def test_each_listening_session_gets_a_change_once(world: SessionWorld) -> None:
    sessions = [await world.begin(), await world.begin(version="2025-06-18")]
    listening = [await opened(world.listen(session)) for session in sessions]
    await publish(world)
    for connection in listening:
        assert await connection.until_messages(1) == [CHANGED]
    assert [event.id for event in listening[0].events] == ["session.1", "session.2"]
    assert [event.id for event in listening[1].events] == ["session.2"]


async def test_only_subscribers_hear_of_a_resource(world: SessionWorld) -> None:
    sessions = [await world.begin(), await world.begin()]
    listening = [await opened(world.listen(session)) for session in sessions]
    subscriber, subscriptions = fingerprint(sessions[0]), world.store.mcp_sessions
    assert await subscriptions.subscribe(subscriber, "note://1", as_sent="note://1", limit=1)
    await world.era.listening.publish(Change("resource", uri="note://1"))
    await listening[0].until(lambda: bool(listening[0].messages))
    await subscriptions.unsubscribe(subscriber, "note://1")
    await world.era.listening.publish(Change("resource", uri="note://1"))
    await publish(world)
    for connection, messages in zip(listening, ([UPDATED, CHANGED], [CHANGED]), strict=True):
        assert await connection.until_messages(len(messages)) == messages


async def test_a_session_hears_of_a_resource_under_its_own_spelling(world: SessionWorld) -> None:
    session = await world.begin()
    listening = await opened(world.listen(session))
    subscribed = await world.send(request("resources/subscribe", {"uri": "Note://%31"}), session=session)
    assert subscribed.body["result"] == {}
    world.server.resource_updated("note://1")
    assert (await listening.until_messages(1))[0]["params"] == {"uri": "Note://%31"}
    ended = await world.send(request("resources/unsubscribe", {"uri": "NOTE://1"}), session=session)
    assert ended.body["result"] == {}
    world.server.resource_updated("note://1")
    await publish(world)
    assert (await listening.until_messages(2))[1] == CHANGED


async def test_tools_that_are_added_at_run_time_are_told_of_from_any_thread(world: SessionWorld) -> None:
    session = await world.begin()
    listening = await opened(world.listen(session))
    world.server.tool(name="hidden", scopes=["notes:write"])(lambda: 1)
    await asyncio.to_thread(lambda: world.server.tool(name="more")(lambda: 1))
    world.server.tool(name="read-more", scopes=["notes:read"])(lambda: 1)
    assert await listening.until_messages(2) == [CHANGED, CHANGED]
    world.era.close()
    await listening.ended()
    assert len(listening.messages) == 2


async def test_prompts_and_resources_that_are_added_at_run_time_are_told_of(world: SessionWorld) -> None:
    listening = await opened(world.listen(await world.begin()))
    world.server.prompt(name="greet")(lambda: "Hi")
    world.server.resource("note://new", name="new")(lambda: "text")
    assert [message["method"] for message in await listening.until_messages(2)] == [
        "notifications/prompts/list_changed",
        "notifications/resources/list_changed",
    ]


async def test_changes_that_cannot_be_kept_are_passed_over(
    world: SessionWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await opened(world.listen(await world.begin()))

    failed = asyncio.Event()

    async def fail(*_arguments: object, **_options: object) -> int:
        failed.set()
        raise StoreUnavailable("gone")

    monkeypatch.setattr(world.store.mcp_streams, "append_event", fail)
    world.server.tool(name="more")(lambda: 1)
    async with asyncio.timeout(PATIENCE):
        await failed.wait()
    await asyncio.sleep(0)
    assert "sessions could not be notified of a change" in caplog.text


def test_a_loop_that_is_over_is_told_nothing() -> None:
    world = SessionWorld()

    async def listen() -> None:
        await opened(world.listen(await world.begin()))

    asyncio.run(listen())
    world.server.tool(name="more")(lambda: 1)


async def test_a_second_get_is_a_conflict_while_the_first_is_open(world: SessionWorld) -> None:
    session = await world.begin()
    first = await opened(world.listen(session))
    assert (await world.listen(session).ended()).status == 409
    first.gone.set()
    await first.finished()
    await opened(world.listen(session))


async def test_a_session_has_only_so_many_gets(world: SessionWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatepost.web.mcp.sessions.listening.MOST_CONNECTIONS", 1)
    session = await world.begin()
    await opened(world.listen(session))
    calling = await world.open(call("poll", progressToken="p"), session=session).ended()
    assert (await world.listen(session, last_event_id=calling.events[0].id).ended()).status == 409


async def test_what_came_while_the_client_was_away_is_sent_again_for_a_while(world: SessionWorld) -> None:
    session = await world.begin()
    first = await opened(world.listen(session))
    first.gone.set()
    await first.finished()
    await publish(world)
    world.time += 60
    await publish(world)
    second = world.listen(session, last_event_id=first.events[0].id)
    await second.until(lambda: bool(second.messages))
    assert [event.id for event in second.events] == ["session.1", "session.2"]


async def test_those_who_listened_are_forgotten_after_a_while_also_where_nothing_changes(world: SessionWorld) -> None:
    for _ in range(3):
        listening = await opened(world.listen(await world.begin()))
        listening.gone.set()
        await listening.finished()
        world.time += 31
    # Nobody sees who is kept; what is, is memory.
    assert len(world.era.listening._disconnected) == 2


async def test_whoever_takes_the_stream_up_ends_the_connection_before(world: SessionWorld) -> None:
    session = await world.begin()
    first = await opened(world.listen(session))
    second = await opened(world.listen(session, last_event_id=first.events[0].id))
    await first.ended()
    await publish(world)
    await second.until(lambda: bool(second.messages))
    assert first.messages == []


async def test_many_events_are_sent_in_turn(world: SessionWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatepost.web.mcp.sessions.listening._AT_ONCE", 2)
    session = await world.begin()
    first = await opened(world.listen(session))
    for _ in range(5):
        await publish(world)
    await first.until(lambda: len(first.messages) == 5)
    second = world.listen(session, last_event_id="session.1")
    await second.until(lambda: len(second.messages) == 5)
    assert [event.id for event in second.events] == [f"session.{number}" for number in range(1, 7)]


@pytest.mark.parametrize("event", ["", "session.0", "session.2", "elsewhere.1", "nonsense"])
async def test_an_event_that_is_none_of_the_session_is_refused(world: SessionWorld, event: str) -> None:
    session = await world.begin()
    first = await opened(world.listen(session))
    answer = await world.listen(session, last_event_id=event).ended()
    assert (answer.status, answer.body["error"]["message"]) == (400, "Last-Event-ID names no event of this session.")
    assert not first.is_ended


async def test_nobody_gets_the_events_of_another_session(world: SessionWorld) -> None:
    answer = await world.send(call("steps", progressToken="p"), session=await world.begin())
    assert (await world.listen(await world.begin(), last_event_id=answer.events[0].id).ended()).status == 400


async def test_the_streams_of_a_session_end_with_it() -> None:
    # No timer asks whether the session still counts, and after the change the stream only waits for the next one.
    world = SessionWorld(call_later=lambda _seconds, _call: None)
    session = await world.begin()
    listening = await opened(world.listen(session))
    await publish(world)
    await listening.until_messages(1)
    await world.send(None, session=session, method="DELETE")
    await listening.ended()


async def test_streams_end_when_the_server_shuts_down(world: SessionWorld) -> None:
    session = await world.begin()
    listening = await opened(world.listen(session))
    world.era.close()
    await listening.ended()
    assert (await world.listen(session).ended()).status == 503
    assert (await world.send(request("ping"), session=session)).status == 200


async def test_a_stream_ends_when_its_session_does_elsewhere() -> None:
    world = SessionWorld(keep_alive=0.01)
    session = await world.begin()
    listening = world.listen(session)
    await listening.until(lambda: listening.raw.count(b":\r\n\r\n") >= 2)
    # What was looked up still counts here, but the stream is attached to nothing any more.
    await world.store.mcp_sessions.end_session(fingerprint(session), owner=owner_of(principal(), RESOURCE.identifier))
    await listening.ended()


async def test_a_stream_ends_when_its_session_has_expired() -> None:
    """As after a machine has slept: it is too late for the session to live on because somebody listens."""
    world = SessionWorld(keep_alive=0.01, is_guarded=False)
    listening = await opened(world.listen(await world.begin()))
    world.time += 3600
    await listening.ended()


async def test_a_session_lives_on_while_its_client_listens() -> None:
    world = SessionWorld(keep_alive=0.01, is_guarded=False)
    session = await world.begin()
    listening = await opened(world.listen(session))
    for _ in range(4):
        seen = listening.raw.count(b":\r\n\r\n")
        world.time += 1800
        await listening.until(lambda: listening.raw.count(b":\r\n\r\n") >= seen + 2)  # noqa: B023 - at once
    assert (await world.send(request("ping"), session=session)).status == 200


async def test_a_stream_ends_when_its_token_does() -> None:
    world = SessionWorld(keep_alive=0.01)
    listening = world.listen(await world.begin())
    await listening.until(lambda: listening.raw.count(b":\r\n\r\n") >= 2)
    world.grants.scopes = {}
    assert world.guard is not None
    world.guard.evict_all()
    await listening.ended()


async def test_a_stream_on_which_something_always_happens_ends_with_its_token_too() -> None:
    world = SessionWorld(keep_alive=0.01)
    listening = await opened(world.listen(await world.begin()))
    for count in range(1, 4):
        await publish(world)
        await listening.until_messages(count)
    world.grants.scopes = {}
    assert world.guard is not None
    world.guard.evict_all()
    count = 3
    while not listening.is_ended:
        await publish(world)
        count += 1
        await listening.until(lambda: listening.is_ended or len(listening.messages) == count)  # noqa: B023 - at once


async def test_a_store_that_cannot_say_ends_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    world = SessionWorld(keep_alive=0.01)
    listening = await opened(world.listen(await world.begin()))
    world.grants.is_down = True
    assert world.guard is not None
    world.guard.evict_all()
    seen = listening.raw.count(b":\r\n\r\n")
    await listening.until(lambda: listening.raw.count(b":\r\n\r\n") >= seen + 2)

    async def fail(*_arguments: object, **_options: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(world.store.mcp_sessions, "find_session", fail)
    world.time += 5
    seen = listening.raw.count(b":\r\n\r\n")
    await listening.until(lambda: listening.raw.count(b":\r\n\r\n") >= seen + 2)


async def test_without_authentication_there_is_no_token_to_end() -> None:
    world = SessionWorld(keep_alive=0.01, is_guarded=False)
    session = await world.begin(authorization=None)
    listening = world.listen(session, authorization=None)
    await listening.until(lambda: listening.raw.count(b":\r\n\r\n") >= 2)
    assert (listening.status, listening.is_ended) == (200, False)


@pytest.mark.parametrize(("version", "is_primed"), [("2025-11-25", True), ("2025-06-18", False)])
async def test_a_stream_that_is_resumed_says_its_place_again_where_the_revision_primes(
    version: str, *, is_primed: bool
) -> None:
    world = SessionWorld()
    session = await world.begin(version=version)
    calling = world.open(call("poll", progressToken="p"), session=session, mcp_protocol_version=version)
    await calling.until(lambda: bool(calling.events))
    last = calling.events[0].id
    calling.gone.set()
    resumed = await opened(world.listen(session, last_event_id=last, mcp_protocol_version=version))
    await resumed.until(lambda: bool(resumed.raw))
    primed = [event for event in resumed.events if event.data is None]
    assert [event.id for event in primed] == ([last] if is_primed else [])
    world.pause.go_on.set()
    await resumed.ended()
