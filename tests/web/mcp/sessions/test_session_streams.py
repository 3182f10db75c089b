"""Requests of a session: answered by a stream when they talk to their client, resumed, cancelled, never crossed."""

import asyncio
from typing import Any

import pytest

from gatepost.server.calls.client_requests import ElicitURL
from gatepost.server.calls.context import Context
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.sql.sqlite import memory_store
from gatepost.tokens.opaque import fingerprint
from gatepost.web.mcp.sessions.lifecycle import owner_of
from gatepost.web.mcp.sessions.session_streams import position
from tests.web.mcp.mcp_harness import RESOURCE
from tests.web.mcp.sessions.session_world import Event, SessionWorld, call, principal, text_of

FORMS: dict[str, Any] = {"elicitation": {"form": {}}}
CANCELLED = "notifications/cancelled"


@pytest.fixture
def world() -> SessionWorld:
    return SessionWorld()


def progress(value: int, token: str = "p") -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "method": "notifications/progress",
        "params": {"progressToken": token, "progress": value, "total": 2},
    }


def notice(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def chosen(question: Any, colour: str = "red") -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": question["id"],
        "result": {"action": "accept", "content": {"colour": colour}},
    }


async def test_a_tool_that_says_nothing_is_answered_with_json(world: SessionWorld) -> None:
    answer = await world.send(call("steps"), session=await world.begin())
    assert answer.headers["content-type"] == "application/json"
    assert text_of(answer.body) == "done"


async def test_progress_makes_the_answer_a_stream_that_can_be_taken_up(world: SessionWorld) -> None:
    answer = await world.send(call("steps", progressToken="p"), session=await world.begin())
    assert answer.headers["content-type"] == "text/event-stream"
    stream = (answer.events[0].id or "").partition(".")[0]
    assert [event.id for event in answer.events] == [f"{stream}.{number}" for number in (1, 2, 3, 4)]
    assert answer.events[0] == Event(f"{stream}.1", None)
    assert answer.messages[:2] == [progress(1), progress(2)]
    assert text_of(answer.messages[2]) == "done"


async def test_clients_of_older_revisions_get_no_event_without_data(world: SessionWorld) -> None:
    answer = await world.send(call("steps", progressToken="p"), session=await world.begin(version="2025-06-18"))
    assert [event.data is None for event in answer.events] == [False, False, False]


async def test_a_client_that_takes_no_streams_gets_the_result_alone(world: SessionWorld) -> None:
    session = await world.begin()
    answer = await world.send(call("steps", progressToken="p"), session=session, accept="application/json")
    assert text_of(answer.body) == "done"


async def test_a_tool_in_a_worker_thread_logs_in_order(world: SessionWorld) -> None:
    answer = await world.send(call("whisper"), session=await world.begin())
    assert [message["params"]["data"] for message in answer.messages[:-1]] == ["one", "two", "three"]
    assert text_of(answer.messages[-1]) == "said"


async def test_a_client_that_does_not_keep_up_misses_the_oldest_log_messages(
    world: SessionWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatepost.web.mcp.exchange.ordered_writer.MOST_POSTED", 1)
    answer = await world.send(call("shout"), session=await world.begin())
    assert [message["params"]["data"] for message in answer.messages[:-1]] == ["two"]


async def test_a_question_goes_out_on_the_stream_and_its_answer_comes_with_a_post(world: SessionWorld) -> None:
    session = await world.begin(capabilities=FORMS)
    asking = world.open(call("colour"), session=session)
    await asking.until(lambda: bool(asking.messages))
    question = asking.messages[0]
    assert (question["method"], question["params"]["message"]) == ("elicitation/create", "Which?")
    answered = await world.send(chosen(question), session=session)
    assert (answered.status, answered.body) == (202, None)
    await asking.ended()
    assert text_of(asking.messages[1]) == "red"


async def test_each_page_to_visit_has_an_id_of_its_own(world: SessionWorld) -> None:
    async def visit(ctx: Context) -> str:
        await ctx.request_all({"a": ElicitURL("A?", "https://a.example"), "b": ElicitURL("B?", "https://b.example")})
        return "visited"

    world.server.tool(name="visit")(visit)
    session = await world.begin(capabilities={"elicitation": {"url": {}}})
    asking = world.open(call("visit"), session=session)
    first, second = [message["params"] for message in await asking.until_messages(2)]
    assert first["mode"] == second["mode"] == "url"
    assert first["elicitationId"].startswith("ask_")
    assert first["elicitationId"] != second["elicitationId"]
    await world.send(None, session=session, method="DELETE")
    await asking.ended()


async def test_another_process_may_take_the_answer_in(world: SessionWorld) -> None:
    session = await world.begin(capabilities=FORMS)
    asking = world.open(call("colour"), session=session)
    await asking.until(lambda: bool(asking.messages))
    await world.send(chosen(asking.messages[0]), session=session, endpoint=world.endpoint_of(world.process()))
    await asking.ended()
    assert text_of(asking.messages[1]) == "red"


async def test_only_the_first_answer_of_the_session_that_was_asked_counts(world: SessionWorld) -> None:
    mine, others = await world.begin(capabilities=FORMS), await world.begin(capabilities=FORMS)
    asking = world.open(call("colour"), session=mine)
    await asking.until(lambda: bool(asking.messages))
    question = asking.messages[0]
    strays = [(chosen(question, "blue"), others), (chosen({"id": 7}), mine), (chosen({"id": "ask_x"}), mine)]
    for message, session in [*strays, (chosen(question), mine), (chosen(question, "green"), mine)]:
        assert (await world.send(message, session=session)).status == 202
    assert (await world.send(chosen(question, "grey"))).status == 202
    await asking.ended()
    assert text_of(asking.messages[1]) == "red"


async def test_an_error_as_the_answer_reaches_the_tool(world: SessionWorld) -> None:
    session = await world.begin(capabilities=FORMS)
    asking = world.open(call("colour"), session=session)
    await asking.until(lambda: bool(asking.messages))
    error = {"jsonrpc": "2.0", "id": asking.messages[0]["id"], "error": {"code": "?", "message": None}}
    await world.send(error, session=session)
    await asking.ended()
    assert asking.messages[1]["result"]["isError"]


async def test_a_question_that_is_never_answered_is_taken_back(world: SessionWorld) -> None:
    session = await world.begin(capabilities=FORMS)
    asking = world.open(call("colour"), session=session)
    await asking.until(lambda: bool(asking.messages))
    world.time += 3_600
    await asking.ended()
    assert asking.messages[1] == notice(CANCELLED, requestId=asking.messages[0]["id"])
    assert asking.messages[2]["result"]["isError"]


async def test_only_so_many_questions_wait_at_a_time(world: SessionWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatepost.server.calls.pending_client_requests.MOST_PENDING", 0)
    answer = await world.send(call("colour"), session=await world.begin(capabilities=FORMS))
    assert answer.body["result"]["isError"]


async def test_a_client_that_declared_nothing_is_not_asked(world: SessionWorld) -> None:
    answer = await world.send(call("colour"), session=await world.begin())
    assert answer.body["error"]["code"] == -32021


async def test_a_disconnect_cancels_nothing_and_the_rest_is_kept(world: SessionWorld) -> None:
    session = await world.begin()
    calling = world.open(call("poll", progressToken="p"), session=session)
    await calling.ended()
    calling.gone.set()
    world.pause.go_on.set()
    await calling.finished()
    assert world.pause.ended == "finished"
    resumed = await world.listen(session, last_event_id=calling.events[1].id).ended()
    assert [event.id for event in resumed.events] == [f"{(calling.events[0].id or '')[:-2]}.{n}" for n in (2, 3, 4)]
    assert text_of(resumed.messages[1]) == "finished"


async def test_a_closed_stream_says_when_to_come_back_and_is_taken_up_while_it_runs(world: SessionWorld) -> None:
    session = await world.begin()
    calling = await world.open(call("poll", progressToken="p"), session=session).ended()
    assert calling.events[-1] == Event(None, None, retry=1000)
    resumed = world.listen(session, last_event_id=calling.events[1].id)
    await resumed.until(lambda: len(resumed.messages) == 1)
    world.pause.go_on.set()
    await resumed.ended()
    assert text_of(resumed.messages[1]) == "finished"


async def test_another_process_follows_a_stream_as_well(world: SessionWorld) -> None:
    session = await world.begin()
    calling = await world.open(call("poll", progressToken="p"), session=session).ended()
    elsewhere = world.endpoint_of(world.process())
    resumed = world.listen(session, last_event_id=calling.events[0].id, endpoint=elsewhere)
    await resumed.until(lambda: len(resumed.messages) == 2)
    world.pause.go_on.set()
    await resumed.ended()
    assert text_of(resumed.messages[2]) == "finished"


async def test_older_clients_keep_their_stream(world: SessionWorld) -> None:
    session = await world.begin(version="2025-06-18")
    calling = world.open(call("poll", progressToken="p"), session=session)
    await calling.until(lambda: len(calling.messages) == 2)
    world.pause.go_on.set()
    await calling.ended()
    assert text_of(calling.messages[2]) == "finished"


async def test_a_message_goes_out_on_one_connection_only(world: SessionWorld) -> None:
    session = await world.begin(capabilities=FORMS)
    asking = world.open(call("colour"), session=session)
    await asking.until(lambda: bool(asking.messages))
    resumed = world.listen(session, last_event_id=asking.events[1].id)
    await asking.ended()
    await resumed.until(lambda: resumed.status == 200)
    await world.send(chosen(asking.messages[0]), session=session)
    await resumed.ended()
    assert len(asking.messages) == 1
    assert text_of(resumed.messages[0]) == "red"


async def test_a_quiet_stream_gets_comments() -> None:
    world = SessionWorld(keep_alive=0.01)
    session = await world.begin(capabilities=FORMS)
    asking = world.open(call("colour"), session=session)
    await asking.until(lambda: asking.raw.count(b":\r\n\r\n") >= 2)
    await world.send(chosen(asking.messages[0]), session=session)
    await asking.ended()


async def test_a_cancelled_request_is_stopped_and_not_answered(world: SessionWorld) -> None:
    session = await world.begin()
    calling = world.open(call("wait", 7), session=session)
    await world.pause.started.wait()
    for stray in (notice(CANCELLED), notice(CANCELLED, requestId=8), notice(CANCELLED, requestId=True)):
        assert (await world.send(stray, session=session)).status == 202
    assert world.pause.ended == ""
    assert (await world.send(notice(CANCELLED, requestId=7), session=session)).status == 202
    await calling.ended()
    assert (world.pause.ended, calling.status, calling.messages) == ("cancelled", 200, [])
    await calling.finished()


async def test_a_cancelled_request_takes_its_questions_back(world: SessionWorld) -> None:
    session = await world.begin(capabilities=FORMS)
    asking = world.open(call("colour", 7), session=session)
    await asking.until(lambda: bool(asking.messages))
    await world.send(notice(CANCELLED, requestId=7), session=session)
    await asking.ended()
    assert asking.messages[1:] == [notice(CANCELLED, requestId=asking.messages[0]["id"])]


async def test_the_same_id_in_two_sessions_is_two_requests(world: SessionWorld) -> None:
    mine, others = await world.begin(capabilities=FORMS), await world.begin(capabilities=FORMS)
    asking = [world.open(call("colour", 7), session=session) for session in (mine, others)]
    for connection in asking:
        await connection.until_messages(1)
    await world.send(notice(CANCELLED, requestId=7), session=others)
    await asking[1].ended()
    await world.send(chosen(asking[0].messages[0]), session=mine)
    await asking[0].ended()
    assert text_of(asking[0].messages[1]) == "red"


async def test_the_end_of_a_session_stops_what_runs_in_it(world: SessionWorld) -> None:
    session = await world.begin()
    calling = world.open(call("wait"), session=session)
    await world.pause.started.wait()
    await world.send(None, session=session, method="DELETE")
    await calling.ended()
    assert world.pause.ended == "cancelled"


async def test_a_server_that_stops_is_no_cancellation_by_the_client(world: SessionWorld) -> None:
    calling = world.open(call("wait"), session=await world.begin())
    await world.pause.started.wait()
    assert calling.task is not None
    calling.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling.task


async def test_after_so_many_events_only_the_result_is_kept(
    world: SessionWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatepost.web.mcp.sessions.session_streams.MOST_EVENTS", 2)
    answer = await world.send(call("steps", progressToken="p"), session=await world.begin())
    assert [None if event.id is None else event.id[-2:] for event in answer.events] == [".1", ".2", None, ".3"]


async def test_events_that_cannot_be_kept_are_still_sent(world: SessionWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    session = await world.begin()

    async def fail(*_arguments: object) -> int:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(world.store.mcp_streams, "append_event", fail)
    monkeypatch.setattr(world.store.mcp_streams, "finish_stream", fail)
    answer = await world.send(call("steps", progressToken="p"), session=session)
    assert [event.id for event in answer.events] == [None, None, None]


async def test_a_store_that_fails_while_a_tool_asks_is_no_fault_of_the_request(
    world: SessionWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await world.begin(capabilities=FORMS)

    async def fail(*_arguments: object, **_options: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(world.store.mcp_client_requests, "open", fail)
    monkeypatch.setattr(world.store.mcp_client_requests, "withdraw", fail)
    assert (await world.send(call("colour"), session=session)).status in (200, 503)


async def test_the_stream_of_an_ended_session_goes_on_without_ids() -> None:
    store = memory_store()
    world = SessionWorld(store=store)
    session = await world.begin(capabilities=FORMS)
    await store.mcp_sessions.end_session(fingerprint(session), owner=owner_of(principal(), RESOURCE.identifier))
    answer = await world.send(call("steps", progressToken="p"), session=session)
    assert [event.id for event in answer.events] == [None, None, None]


@pytest.mark.parametrize("text", [b"", b"1", b".1", b"a.", b"a.x", b"a.-1", b"a.\xb2", b"a." + b"9" * 10])
def test_only_ids_of_the_right_shape_name_an_event(text: bytes) -> None:
    assert position(text) is None


def test_an_event_id_names_its_stream() -> None:
    assert position(b"a.b.12") == ("a.b", 12)


async def test_only_the_last_streams_of_a_session_are_kept(
    world: SessionWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatepost.web.mcp.sessions.session_streams.KEPT_STREAMS", 2)
    monkeypatch.setattr("gatepost.web.mcp.sessions.session_streams._MOST_SESSIONS", 1)
    session = await world.begin()
    answers = [await world.send(call("steps", progressToken="p"), session=session) for _ in range(3)]
    resumed = [await world.listen(session, last_event_id=answer.events[0].id).ended() for answer in answers]
    assert [answer.status for answer in resumed] == [400, 200, 200]
    await world.send(call("steps", progressToken="p"), session=await world.begin())


async def test_only_so_many_bytes_of_a_session_are_kept_and_the_latest_stream_always(
    world: SessionWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await world.begin()

    async def resumed() -> list[int]:
        answers = [await world.send(call("steps", progressToken="p"), session=session) for _ in range(3)]
        again = [await world.listen(session, last_event_id=answer.events[0].id).ended() for answer in answers]
        assert [event.id and event.id.rpartition(".")[2] for event in answers[2].events] == ["1", "2", "3", "4"]
        return [answer.status for answer in again]

    # The messages of one call have some 300 bytes together.
    monkeypatch.setattr("gatepost.web.mcp.sessions.session_streams.KEPT_BYTES", 800)
    assert await resumed() == [400, 200, 200]
    monkeypatch.setattr("gatepost.web.mcp.sessions.session_streams.KEPT_BYTES", 1)
    assert await resumed() == [400, 400, 200]


async def test_a_stream_that_cannot_be_forgotten_does_no_harm(
    world: SessionWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_arguments: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr("gatepost.web.mcp.sessions.session_streams.KEPT_STREAMS", 0)
    monkeypatch.setattr(world.store.mcp_streams, "forget_stream", fail)
    answer = await world.send(call("steps", progressToken="p"), session=await world.begin())
    assert text_of(answer.messages[-1]) == "done"


async def test_only_so_many_bytes_of_a_stream_are_kept_and_the_result_always(
    world: SessionWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await world.begin()
    monkeypatch.setattr("gatepost.web.mcp.sessions.session_streams.MOST_EVENT_BYTES", 150)
    answer = await world.send(call("steps", progressToken="p"), session=session)
    assert [event.id and event.id[-2:] for event in answer.events] == [".1", ".2", None, ".3"]
    resumed = await world.listen(session, last_event_id=answer.events[0].id).ended()
    assert resumed.messages == [answer.messages[0], answer.messages[2]]
