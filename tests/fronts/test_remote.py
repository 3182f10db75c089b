"""A front before a server on Streamable HTTP elsewhere, as its clients of both eras see it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gatepost.fronts.credentials import FixedHeaders
from tests.fronts.front_world import ALL, CARL, Front
from tests.fronts.remote_server import Asked, RawServer, raw_server, remote_front
from tests.web.mcp.sessions.session_world import request, text_of

INCIDENT = "The server behind has no answer; the log explains it as incident abababababababab."
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


async def begin(front: Front, **options: Any) -> str:
    """Begin a session wholly."""
    session = await front.begin(**options)
    await front.send(INITIALIZED, session=session)
    return session


# Relay.


async def test_each_client_session_has_one_there_with_the_headers_of_its_revision(tmp_path: Path) -> None:
    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        sessions = [await begin(front), await begin(front, version="2025-06-18")]
        for session in sessions:
            assert text_of(await front.call(session, "echo", {"text": session})) == session

        initialize, other = server.sent("initialize")
        assert "mcp-session-id" not in initialize.headers
        assert "mcp-protocol-version" not in initialize.headers
        assert initialize.headers["accept"] == "application/json, text/event-stream"
        assert other.message["params"]["protocolVersion"] == "2025-06-18"
        for asked, named in zip(server.sent("tools/call"), ["s1", "s2"], strict=True):
            assert asked.session == named
            assert asked.session not in sessions
        assert [asked.headers["mcp-protocol-version"] for asked in server.sent("tools/call")] == [
            "2025-11-25",
            "2025-06-18",
        ]


async def test_the_end_of_a_client_session_ends_the_one_there(tmp_path: Path) -> None:
    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        session = await begin(front)
        await front.send(None, session=session, method="DELETE", content_type=None)
        await front.until(lambda: bool(server.verbs("DELETE")))

        assert server.verbs("DELETE")[0].session == "s1"
        assert not server.sessions


async def test_sessions_are_ended_there_when_the_front_ends(tmp_path: Path) -> None:
    async with raw_server() as server:
        async with remote_front(tmp_path, server.url) as front:
            await begin(front)
            await front.modern_call("echo", {"text": "x"})
        assert not server.sessions


async def test_modern_clients_are_bridged_to_a_session_for_each_user(tmp_path: Path) -> None:
    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        listed = (await front.modern("tools/list"))["result"]
        answers = [
            await front.modern_call("echo", {"text": "ü"}),
            await front.modern_call("echo", {"text": "ü"}, authorization=f"Bearer {CARL}"),
        ]

        assert listed["tools"] == [{"name": "echo", "inputSchema": {"type": "object"}, "own": 1.0}]
        assert [answer["result"]["resultType"] for answer in answers] == ["complete", "complete"]
        assert [asked.session for asked in server.sent("tools/call")] == ["s1", "s2"]
        assert "_meta" not in server.sent("tools/call")[0].message["params"]


async def test_a_server_without_sessions_and_streams_is_served(tmp_path: Path) -> None:
    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        server.has_sessions = False
        session = await begin(front)

        assert text_of(await front.call(session, "echo", {"text": "on"})) == "on"
        assert text_of(await front.modern_call("echo", {"text": "on"})) == "on"
        assert all(asked.session is None for asked in server.asked)


async def test_what_comes_on_the_stream_of_a_call_goes_to_the_stream_of_the_clients_call(tmp_path: Path) -> None:
    async def stream(asked: Asked) -> None:
        token = asked.message["params"]["_meta"]["progressToken"]
        await asked.stream()
        await asked.event({"method": "notifications/progress", "params": {"progressToken": token, "progress": 1}})
        await asked.event({"method": "notifications/message", "params": {"level": "error", "data": 1.0}})
        await asked.last_event("done", asked.id)
        asked.writer.close()

    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        server.tools["stream"] = stream
        session = await begin(front)
        call = await front.open_call(session, "stream", meta={"progressToken": "mine"}).ended()

        progress, log, answer = call.messages
        assert progress["params"] == {"progressToken": "mine", "progress": 1}
        assert log["params"] == {"level": "error", "data": 1.0}
        assert text_of(answer) == "done"


async def test_what_comes_on_the_sessions_stream_goes_to_the_clients(tmp_path: Path) -> None:
    async def get(asked: Asked) -> None:
        await asked.stream()
        await asked.event({"method": "notifications/tools/list_changed"})
        await asked.until_gone()

    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        server.get = get
        session = await front.begin()
        listening = front.listen(session)
        await front.send(INITIALIZED, session=session)

        assert (await listening.until_messages(1))[0]["method"] == "notifications/tools/list_changed"
        listening.gone.set()


async def test_questions_on_the_stream_of_a_call_reach_the_client_and_its_answer_the_server(tmp_path: Path) -> None:
    answered = asyncio.Event()

    async def ask(asked: Asked) -> None:
        await asked.stream()
        await asked.event({"id": "q1", "method": "elicitation/create", "params": {"message": "Name?"}})
        await answered.wait()
        await asked.last_event("thanks", asked.id)
        asked.writer.close()

    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        server.tools["ask"] = ask
        session = await begin(front, capabilities={"elicitation": {}})
        call = front.open_call(session, "ask")
        (question,) = await call.until_messages(1)
        await front.respond(session, question, {"action": "accept", "content": {"name": "Ann"}})
        await front.until(lambda: "result" in (server.asked[-1].message or {}))
        assert server.asked[-1].message == {
            "jsonrpc": "2.0",
            "id": "q1",
            "result": {"action": "accept", "content": {"name": "Ann"}},
        }
        answered.set()
        assert text_of((await call.ended()).messages[-1]) == "thanks"

        answered.clear()
        modern = await front.modern_call("ask", capabilities=ALL)
        asked = modern["result"]["inputRequests"]
        answered.set()
        responses = {key: {"action": "decline"} for key in asked}
        params = {"requestState": modern["result"]["requestState"], "inputResponses": responses}
        done = await front.modern("tools/call", {"name": "ask", "arguments": {}, **params}, capabilities=ALL)
        assert text_of(done) == "thanks"


async def test_a_cancelled_call_is_cancelled_there_and_its_stream_closed(tmp_path: Path) -> None:
    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        gone = asyncio.Event()

        async def wait(asked: Asked) -> None:
            await asked.stream()
            await asked.event({"method": "notifications/message", "params": {"level": "error"}})
            await asked.until_gone()
            gone.set()

        server.tools["wait"] = wait
        session = await begin(front)
        call = front.open_call(session, "wait", request_id="mine")
        await call.until_messages(1)
        await front.send(
            {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "mine"}}, session=session
        )
        await call.ended()
        await front.until(lambda: bool(server.sent("notifications/cancelled")) and gone.is_set())

        number = server.sent("tools/call")[0].id
        assert server.sent("notifications/cancelled")[0].message["params"] == {"requestId": number}
        assert text_of(await front.call(session, "echo", {"text": "on"})) == "on"


# Sessions that are lost.


async def _typescript(asked: Asked) -> None:
    error = {"code": -32000, "message": "Bad Request: No valid session ID provided"}
    await asked.json({"jsonrpc": "2.0", "error": error, "id": None}, 400)


async def _words(asked: Asked) -> None:
    await asked.json("Bad Request: Missing session ID", 400)


@pytest.mark.parametrize("lost", [None, _typescript, _words])
async def test_a_session_that_is_lost_there_is_lost_here_and_the_next_one_is_served(tmp_path: Path, lost: Any) -> None:
    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        server.lost = lost
        session = await begin(front)
        server.sessions.clear()

        for _ in range(2):
            answer = await front.open_call(session, "echo").ended()
            assert answer.status == 404
        again = await begin(front)
        assert text_of(await front.call(again, "echo", {"text": "on"})) == "on"


async def test_a_modern_call_goes_to_a_new_session_when_its_own_is_lost(tmp_path: Path) -> None:
    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        for capabilities in ({}, ALL):
            await front.modern_call("echo", {"text": "x"}, capabilities=capabilities)
            server.sessions.clear()
            answer = await front.modern_call("echo", {"text": "on"}, capabilities=capabilities)
            assert text_of(answer) == "on"


async def test_a_servers_own_bad_request_ends_no_session(tmp_path: Path) -> None:
    async def refuse(asked: Asked) -> None:
        error = {"code": -32602, "message": "own", "data": {"a": 1.0}}
        await asked.json({"jsonrpc": "2.0", "id": asked.id, "error": error}, 400)

    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        server.tools["refuse"] = refuse
        session = await begin(front)

        error = {"code": -32602, "message": "own", "data": {"a": 1.0}}
        assert (await front.call(session, "refuse"))["error"] == error
        assert text_of(await front.call(session, "echo", {"text": "on"})) == "on"


# Streams that break.


async def test_a_call_whose_stream_breaks_without_event_ids_ends_with_an_error(tmp_path: Path) -> None:
    async def drop(asked: Asked) -> None:
        await asked.stream()
        await asked.event({"method": "notifications/message", "params": {"level": "error"}})
        asked.drop()

    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        server.tools["drop"] = drop
        session = await begin(front)
        answer = await front.call(session, "drop")

        assert answer["error"] == {"code": -32603, "message": INCIDENT}
        assert text_of(await front.call(session, "echo", {"text": "on"})) == "on"


async def test_a_stream_that_breaks_is_resumed_again_until_the_answer_comes(tmp_path: Path) -> None:
    calls: list[Any] = []

    async def drop(asked: Asked) -> None:
        calls.append(asked.id)
        await asked.stream()
        await asked.event(None, id="e1", retry="10")
        asked.drop()

    async def get(asked: Asked) -> None:
        await asked.stream()
        resumed = asked.headers.get("last-event-id")
        before = len([one for one in server.verbs("GET") if one.headers.get("last-event-id") == resumed])
        if resumed == "e1" and before == 1:
            # It stays open, and the answer never comes on it.
            await asked.event({"method": "notifications/message", "params": {"level": "error"}}, id="e2")
            await asked.until_gone()
        elif resumed == "e2" and before == 1:
            asked.drop()
        elif resumed == "e2":
            await asked.last_event("late", calls[0], id="e3")
            asked.writer.close()
        else:
            await asked.until_gone()

    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        server.tools["drop"], server.get = drop, get
        session = await begin(front)
        call = await front.open_call(session, "drop").ended()

        assert text_of(call.messages[-1]) == "late"
        assert len(calls) == 1
        ids = [asked.headers.get("last-event-id") for asked in server.verbs("GET")]
        assert [found for found in ids if found] == ["e1", "e2", "e2"]


async def test_resuming_ends_when_nothing_ever_comes(tmp_path: Path) -> None:
    async def drop(asked: Asked) -> None:
        await asked.stream()
        await asked.event(None, id="e1")
        asked.drop()

    async def get(asked: Asked) -> None:
        await asked.json(None, 503)

    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        server.tools["drop"], server.get = drop, get
        session = await front.begin()
        answer = await front.call(session, "drop")

        assert answer["error"] == {"code": -32603, "message": INCIDENT}
        assert len(server.verbs("GET")) == 5


# Credentials and outages.


async def test_the_clients_token_is_never_sent_on_and_the_operators_headers_are(tmp_path: Path) -> None:
    credentials = FixedHeaders({"Authorization": "Bearer operators", "X-Own": "1"})
    async with raw_server() as server:
        async with remote_front(tmp_path, server.url, credentials=credentials) as front:
            session = await begin(front)
            await front.call(session, "echo")
            await front.modern_call("echo", authorization=f"Bearer {CARL}")

        assert len(server.asked) > 5
        for asked in server.asked:
            assert asked.headers["authorization"] == "Bearer operators"
            assert asked.headers["x-own"] == "1"
            assert CARL not in json.dumps([dict(asked.headers), asked.message])


@pytest.mark.parametrize(
    ("status", "headers", "data"),
    [
        (503, {"Retry-After": "17"}, {"retryAfter": 17}),
        (502, {}, {"retryAfter": 5}),
        (401, {"WWW-Authenticate": 'Bearer realm="there"'}, None),
        (307, {"Location": "http://127.0.0.1:1/mcp"}, None),
        (404, {}, None),
    ],
)
async def test_what_a_server_refuses_is_an_error_with_an_incident_and_no_more(
    tmp_path: Path, status: int, headers: dict[str, str], data: Any
) -> None:
    async def refuse(asked: Asked) -> None:
        await asked.json({"secret": "page"}, status, **headers)

    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        server.refuse = refuse
        answer = await front.open_modern("tools/call", {"name": "echo", "arguments": {}}).ended()

        error = {"code": -32603, "message": INCIDENT} | ({} if data is None else {"data": data})
        assert (answer.status, answer.body["error"]) == (200, error)
        assert "www-authenticate" not in answer.headers
        assert len(server.asked) == 1


async def test_a_server_that_is_away_is_found_again_when_it_is_back(tmp_path: Path) -> None:
    async with raw_server() as gone:
        url = gone.url
    async with remote_front(tmp_path, url, is_known=False) as front:
        session = await front.send(request("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}}))
        assert session.body["error"] == {"code": -32603, "message": INCIDENT, "data": {"retryAfter": 5}}

        server, port = RawServer(), int(url.split(":")[2].split("/")[0])
        listening = await server.listen(port)
        front.front._pool._pauses.clear()  # as time does
        found = (await front.modern("server/discover"))["result"]
        assert found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "raw"
        assert text_of(await front.modern_call("echo", {"text": "back"})) == "back"
        listening.close()


async def test_of_several_calls_to_a_session_that_is_lost_each_is_told(tmp_path: Path) -> None:
    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        session = await begin(front)
        server.sessions.clear()

        calls = [front.open_call(session, "echo", request_id=number) for number in range(5)]
        assert [(await call.ended()).status for call in calls] == [404] * 5

        await front.modern_call("echo")
        server.sessions.clear()
        again = [front.open_modern("tools/call", {"name": "echo", "arguments": {"text": "on"}}) for _ in range(5)]
        assert [text_of((await call.ended()).body) for call in again] == ["on"] * 5
