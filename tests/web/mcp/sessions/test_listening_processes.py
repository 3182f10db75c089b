"""Streams of a session that several processes serve: one connection carries each, and all that changes is told once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.types import Message

from gatepost.server.calls.waiters import Waiters
from gatepost.server.changes.bus import Change
from gatepost.tokens.opaque import fingerprint
from gatepost.web.mcp.endpoint import McpEndpoint
from gatepost.web.mcp.exchange.event_stream import EventResponse
from gatepost.web.mcp.sessions.session_streams import RequestStreams
from tests.web.mcp.sessions.session_world import Connection, SessionWorld, call, text_of

CHANGED = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {}}


@pytest.fixture
def world() -> SessionWorld:
    return SessionWorld(keep_alive=0.01)


@pytest.fixture
def elsewhere(world: SessionWorld) -> McpEndpoint:
    """The endpoint of another process, which hears of the same changes."""
    return world.endpoint_of(world.process())


async def opened(connection: Connection) -> Connection:
    await connection.until(lambda: bool(connection.raw))
    assert connection.status == 200
    return connection


def change(world: SessionWorld, count: int = 1) -> None:
    """Have something change, of which every process hears."""
    for _ in range(count):
        world.server.changes.publish(Change("tools"))


async def test_of_two_processes_the_latest_get_carries_the_stream(world: SessionWorld, elsewhere: McpEndpoint) -> None:
    session = await world.begin()
    first = await opened(world.listen(session))
    second = await opened(world.listen(session, endpoint=elsewhere))
    change(world)
    assert await second.until_messages(1) == [CHANGED]
    await first.ended()
    change(world)
    assert await second.until_messages(2) == [CHANGED, CHANGED]
    assert first.messages == []
    third = await opened(world.listen(session))
    await second.ended()
    change(world)
    assert await third.until_messages(1) == [CHANGED]


async def test_each_change_is_written_down_once(world: SessionWorld, elsewhere: McpEndpoint) -> None:
    session = await world.begin()
    await opened(world.listen(session))
    listening = await opened(world.listen(session, endpoint=elsewhere))
    change(world, 3)
    await listening.until_messages(3)
    kept, _ = await world.store.mcp_streams.events_after(fingerprint(session), "session", 0, limit=99)
    assert [bool(event.message) for event in kept] == [False, False, True, True, True]


async def test_a_stream_is_taken_up_at_another_process_with_what_came_meanwhile(
    world: SessionWorld, elsewhere: McpEndpoint
) -> None:
    session = await world.begin()
    first = await opened(world.listen(session))
    first.gone.set()
    await first.finished()
    await world.era.listening.publish(Change("tools"))
    second = world.listen(session, last_event_id=first.events[0].id, endpoint=elsewhere)
    assert await second.until_messages(1) == [CHANGED]
    change(world)
    assert await second.until_messages(2) == [CHANGED, CHANGED]
    assert [event.id for event in second.events] == ["session.1", "session.2", "session.3"]


async def test_a_request_whose_stream_is_taken_up_at_another_process_ends_its_response(
    world: SessionWorld, elsewhere: McpEndpoint
) -> None:
    session = await world.begin(version="2025-06-18")  # whose streams are not closed early
    calling = world.open(call("poll", progressToken="p"), session=session)
    await calling.until_messages(2)
    resumed = world.listen(session, last_event_id=calling.events[0].id, endpoint=elsewhere)
    await resumed.until_messages(1)
    await calling.ended()
    world.pause.go_on.set()
    await resumed.ended()
    assert len(calling.messages) == 2
    assert text_of(resumed.messages[-1]) == "finished"


async def test_a_stream_that_a_third_process_takes_up_leaves_the_second(
    world: SessionWorld, elsewhere: McpEndpoint
) -> None:
    session = await world.begin()
    calling = await world.open(call("poll", progressToken="p"), session=session).ended()
    second = world.listen(session, last_event_id=calling.events[0].id, endpoint=elsewhere)
    await second.until_messages(2)
    third = world.listen(session, last_event_id=calling.events[0].id, endpoint=world.endpoint_of(world.process()))
    await third.until_messages(2)
    await second.ended()
    world.pause.go_on.set()
    await third.ended()
    assert (len(second.messages), text_of(third.messages[-1])) == (2, "finished")


async def test_who_took_a_stream_up_is_told_as_long_as_it_listens(world: SessionWorld) -> None:
    session = await world.begin()
    first = await opened(world.listen(session))
    second = await opened(world.listen(session, last_event_id=first.events[0].id))
    await first.ended()
    world.time += 61
    change(world)
    assert await second.until_messages(1) == [CHANGED]


async def test_a_listener_whose_session_ended_elsewhere_is_told_nothing_more(world: SessionWorld) -> None:
    world.keep_alive = 60.0
    patient = world.process()
    session = await world.begin()
    listening = await opened(world.listen(session, endpoint=world.endpoint_of(patient)))
    await world.send(None, session=session, method="DELETE")
    await patient.listening.publish(Change("tools"))
    await listening.ended()
    assert listening.messages == []


async def test_a_client_that_went_to_another_process_is_given_up(
    world: SessionWorld, elsewhere: McpEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await world.begin()
    first = await opened(world.listen(session))
    first.gone.set()
    await first.finished()
    await opened(world.listen(session, endpoint=elsewhere))
    append, appended = world.store.mcp_streams.append_event, list[object]()

    async def noted(*arguments: Any, **options: Any) -> int:
        appended.append(options["connection"])
        return await append(*arguments, **options)

    monkeypatch.setattr(world.store.mcp_streams, "append_event", noted)
    for _ in range(3):
        await world.era.listening.publish(Change("tools"))
    assert len(appended) == 1


async def test_streams_that_are_carried_nowhere_are_not_looked_up(
    world: SessionWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    async def attached_streams(keys: object) -> set[object]:
        asked.append(keys)
        return set()

    async def send(_part: object) -> None:
        """Take what is sent."""

    store = world.store.mcp_streams
    monkeypatch.setattr(store, "attached_streams", attached_streams)
    streams = RequestStreams(store=store, waiters=Waiters(), random_bytes=world.random_bytes)
    stream = streams.open(b"key", EventResponse(send), is_primed=True)
    await streams.detach_resumed({b"other"})
    assert asked == []
    await streams.detach_resumed({b"key"})
    assert asked == [(b"key",)]
    await stream.send(b"{}")
    await stream.detach()
    await streams.detach_resumed({b"key"})
    assert asked == [(b"key",)]


async def test_a_response_that_cannot_be_ended_because_its_client_is_gone_does_no_harm(
    world: SessionWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def send(part: Message) -> None:
        if part["type"] == "http.response.body" and not part.get("more_body"):
            raise ConnectionResetError

    async def attached_streams(keys: Sequence[bytes]) -> set[tuple[bytes, str]]:
        return {(key, stream.stream_id) for key in keys}

    store = world.store.mcp_streams
    monkeypatch.setattr(store, "attached_streams", attached_streams)
    streams = RequestStreams(store=store, waiters=Waiters(), random_bytes=world.random_bytes)
    stream = streams.open(b"key", EventResponse(send), is_primed=True)
    await stream.send(b"{}")
    before = asyncio.all_tasks()
    with caplog.at_level(logging.DEBUG, "gatepost.mcp"):
        await streams.detach_resumed({b"key"})
        await asyncio.gather(*(asyncio.all_tasks() - before))
    assert caplog.messages == ["a response could not be ended: ConnectionResetError"]


async def test_of_a_busy_stream_the_latest_events_are_kept(
    world: SessionWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatepost.web.mcp.sessions.listening.MOST_EVENTS", 3)
    session = await world.begin()
    first = await opened(world.listen(session))
    for count in range(1, 10):
        change(world)
        await first.until_messages(count)
    kept, _ = await world.store.mcp_streams.events_after(fingerprint(session), "session", 0, limit=99)
    assert [event.number for event in kept] == [8, 9, 10]
    for seen, missed in (("session.9", ["session.10"]), ("session.1", ["session.8", "session.9", "session.10"])):
        resumed = world.listen(session, last_event_id=seen)
        await resumed.until_messages(len(missed))
        assert [event.id for event in resumed.events[1:]] == missed
    assert (await world.listen(session, last_event_id="session.11").ended()).status == 400
