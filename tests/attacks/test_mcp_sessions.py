"""Sessions in the wrong hands (security.md, "MCP transport")."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gatepost.oauth.audit import AuditEvent, AuditQuery, Outcome
from gatepost.stores.contract.grants import LiveAccessToken
from gatepost.tokens.opaque import fingerprint
from tests.web.mcp.mcp_harness import READER, STRANGER
from tests.web.mcp.sessions.session_world import SessionWorld, call, request, text_of

FORMS: dict[str, Any] = {"elicitation": {"form": {}}}
MALLORY = f"Bearer {STRANGER}"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> SessionWorld:
    """Ann has one token, Mallory the other."""
    world = SessionWorld()
    find = world.grants.find_access_token

    async def find_access_token(token_fingerprint: bytes, *, now: int) -> LiveAccessToken | None:
        found = await find(token_fingerprint, now=now)
        if found is not None and token_fingerprint == fingerprint(STRANGER):
            return replace(found, subject="mallory")
        return found

    monkeypatch.setattr(world.grants, "find_access_token", find_access_token)
    assert READER != STRANGER
    return world


@pytest.mark.parametrize("is_believed", [True, False])
async def test_a_session_used_with_another_users_token_is_not_found(world: SessionWorld, is_believed: bool) -> None:
    session = await world.begin(capabilities=FORMS)
    asking = world.open(call("colour", progressToken="p"), session=session)
    question = (await asking.until_messages(1))[0]
    if not is_believed:
        world.time += 10
    answer = {
        "jsonrpc": "2.0",
        "id": question["id"],
        "result": {"action": "accept", "content": {"colour": "evil"}},
    }
    cancellation = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    for message in (request("ping"), request("logging/setLevel", {"level": "debug"}), answer, cancellation):
        assert (await world.send(message, session=session, authorization=MALLORY)).status == 404
    for headers in ({}, {"last_event_id": asking.events[0].id}):
        assert (await world.listen(session, authorization=MALLORY, **headers).ended()).status == 404
    assert (await world.send(None, session=session, method="DELETE", authorization=MALLORY)).status == 404

    answer["result"] = {"action": "decline"}
    assert (await world.send(answer, session=session)).status == 202
    assert text_of((await asking.until_messages(2))[1]) == "none"


async def test_one_user_does_not_read_the_stream_of_another_by_its_event_id(world: SessionWorld) -> None:
    mine = await world.send(call("steps", progressToken="p"), session=await world.begin())
    theirs = await world.begin(authorization=MALLORY)
    answer = await world.listen(theirs, authorization=MALLORY, last_event_id=mine.events[0].id).ended()
    assert (answer.status, answer.messages if answer.status == 200 else []) == (400, [])


async def test_another_app_of_the_same_person_goes_on_with_the_session_and_is_sent_nothing_again(
    world: SessionWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await world.begin()
    mine = await world.send(call("steps", progressToken="p"), session=session)
    found = world.grants.find_access_token

    async def of_another_app(token_fingerprint: bytes, *, now: int) -> LiveAccessToken | None:
        live = await found(token_fingerprint, now=now)
        return None if live is None else replace(live, client_id="client-2", subject="ann")

    monkeypatch.setattr(world.grants, "find_access_token", of_another_app)
    world.time += 10

    assert (await world.send(request("ping"), session=session)).status == 200
    answer = await world.listen(session, last_event_id=mine.events[0].id).ended()
    assert (answer.status, answer.messages if answer.status == 200 else []) == (400, [])


async def test_the_audit_trail_shows_once_that_an_app_uses_another_app_s_session(
    world: SessionWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, app = world.grants.find_access_token, "client-1"

    async def of_the_app(token_fingerprint: bytes, *, now: int) -> LiveAccessToken | None:
        live = await found(token_fingerprint, now=now)
        return None if live is None else replace(live, client_id=app)

    monkeypatch.setattr(world.grants, "find_access_token", of_the_app)
    used, ended, own = [await world.begin() for _ in range(3)]
    for app in ("client-1", "client-2", "client-1", "client-2"):
        world.time += 10
        for message in (request("ping"), request("ping"), {"jsonrpc": "2.0", "method": "notifications/initialized"}):
            assert (await world.send(message, session=used)).status < 300
        if app == "client-1":
            assert (await world.send(request("ping"), session=own)).status == 200
    assert (await world.send(None, session=ended, method="DELETE")).status == 200
    assert (await world.send(request("ping"), session=own, authorization=MALLORY)).status == 404

    await world.trail.write_queue()
    events = await world.store.audit.list_events(AuditQuery(), before=None, limit=10)
    kept = (AuditEvent.SESSION_OF_ANOTHER_APP, Outcome.OK, "ann", "client-2", "grant-1")
    assert [(event.event, event.outcome, event.subject, event.client_id, event.grant_id) for event in events] == [
        kept,  # by requests and a notification, however often
        kept,  # by DELETE
    ]


async def test_requests_in_flight_with_the_same_id_each_get_their_own_answer(world: SessionWorld) -> None:
    sessions = [await world.begin(capabilities=FORMS), await world.begin(capabilities=FORMS, authorization=MALLORY)]
    tokens = [f"Bearer {READER}", MALLORY]
    asking = [
        world.open(call("colour", 1), session=session, authorization=token)
        for session, token in zip([*sessions, *sessions], [*tokens, *tokens], strict=True)
    ]
    colours = ["red", "green", "blue", "grey"]
    for connection, colour, session, token in zip(
        asking, colours, [*sessions, *sessions], [*tokens, *tokens], strict=True
    ):
        question = (await connection.until_messages(1))[0]
        answer = {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {"colour": colour}}}
        await world.send(answer, session=session, authorization=token)
    for connection, colour in zip(asking, colours, strict=True):
        await connection.ended()
        assert text_of(connection.messages[1]) == colour


async def test_a_user_with_many_sessions_has_only_so_many_streams_and_does_not_take_others_along(
    world: SessionWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatepost.web.mcp.sessions.listening.MOST_OF_USER", 2)
    sessions = [await world.begin(authorization=MALLORY) for _ in range(3)]
    streams = [world.listen(session, authorization=MALLORY) for session in sessions[:2]]
    for stream in streams:
        await stream.until(lambda stream=stream: bool(stream.raw))  # type: ignore[misc] # a default is how loops bind
    refused = await world.listen(sessions[2], authorization=MALLORY).ended()
    assert (refused.status, refused.headers["retry-after"]) == (429, "60")

    hers = world.listen(await world.begin())
    await hers.until(lambda: bool(hers.raw))
    assert hers.status == 200
    streams[0].gone.set()
    await streams[0].finished()
    again = world.listen(sessions[2], authorization=MALLORY)
    await again.until(lambda: bool(again.raw))
    assert again.status == 200


async def test_a_user_with_many_sessions_has_only_so_many_questions_open_and_does_not_take_others_along(
    world: SessionWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatepost.server.calls.pending_client_requests.MOST_OF_USER", 2)
    sessions = [await world.begin(authorization=MALLORY, capabilities=FORMS) for _ in range(3)]
    asking = [world.open(call("colour"), session=session, authorization=MALLORY) for session in sessions[:2]]
    questions = [(await connection.until_messages(1))[0] for connection in asking]
    asking[0].gone.set()  # which does not end its call
    refused = await world.send(call("colour"), session=sessions[2], authorization=MALLORY)
    assert refused.body["result"]["isError"]

    hers = world.open(call("colour"), session=await world.begin(capabilities=FORMS))
    await hers.until_messages(1)
    decline = {"jsonrpc": "2.0", "id": questions[1]["id"], "result": {"action": "decline"}}
    assert (await world.send(decline, session=sessions[1], authorization=MALLORY)).status == 202
    await asking[1].ended()
    again = world.open(call("colour"), session=sessions[2], authorization=MALLORY)
    await again.until_messages(1)
