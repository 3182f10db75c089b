"""A front before a server on standard input and output, as its clients of both eras see it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from gatepost.resource.scope_map import ScopeMap
from gatepost.resource.scope_needs import any_of
from tests.fronts.front_world import ALL, CARL, fronting, is_alive
from tests.web.mcp.mcp_harness import READER
from tests.web.mcp.sessions.session_world import request, text_of

EXACT = b'"own":{"big":1152921504606846976,"one":1.0,"huge":123456789012345678901234567890}'
WHO = {
    "io.modelcontextprotocol/serverInfo": {"name": "recording", "title": "Recording server", "version": "7", "own": 1.0}
}
INCIDENT = "The server behind has no answer; the log explains it as incident abababababababab."


# Relay.


async def test_a_client_of_the_handshake_era_gets_what_the_server_says_and_the_server_what_the_client_says(
    tmp_path: Path,
) -> None:
    async with fronting(tmp_path) as front:
        params = {
            "protocolVersion": "2025-06-18",
            "capabilities": {"elicitation": {}, "own": {"a": 1.0}},
            "clientInfo": {"name": "client", "version": "2", "own": 1},
        }
        answer = await front.send(request("initialize", params, "one"))
        session = answer.headers["mcp-session-id"]
        notice = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        assert (await front.send(notice, session=session)).status == 202
        await front.until(lambda: len(front.messages) == 2)

        assert answer.body["id"] == "one"
        assert answer.body["result"] == {
            "protocolVersion": "2025-06-18",
            "capabilities": {
                "tools": {"listChanged": True},
                "logging": {},
                "resources": {"subscribe": True},
                "experimental": {"own": {"a": 1.0}},
            },
            "serverInfo": {"name": "recording", "title": "Recording server", "version": "7", "own": 1.0},
            "instructions": "Be brief.",
        }
        assert front.messages == [
            {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params},
            {"jsonrpc": "2.0", "method": "notifications/initialized", "params": {}},
        ]


@pytest.mark.parametrize("request_id", ["1", 1, 0, -7, 2**53, "text"])
async def test_ids_come_back_as_they_were_sent_and_never_reach_the_server(
    tmp_path: Path, request_id: int | str
) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin()

        answer = await front.send(request("own/method", {"a": 1}, request_id), session=session)

        assert answer.body == {"jsonrpc": "2.0", "id": request_id, "result": {"given": {"a": 1}, "own": 1.0}}
        assert front.sent("own/method") == [{"jsonrpc": "2.0", "id": 2, "method": "own/method", "params": {"a": 1}}]


async def test_results_pass_byte_for_byte_in_both_eras(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin()
        handshake = await front.open_call(session, "echo", {"text": "ü\u2028"}).ended()
        modern = await front.open_modern("tools/call", {"name": "echo", "arguments": {"text": "x"}}).ended()
        last = await front.open_modern("tools/call", {"name": "last", "arguments": {}}).ended()

        assert EXACT in handshake.raw
        assert handshake.body["result"]["structuredContent"] == {"text": "ü\u2028"}
        assert EXACT in modern.raw
        assert modern.body["result"]["resultType"] == "complete"
        assert modern.body["result"]["_meta"] == WHO
        assert last.raw.endswith(b'"content":[],"own":1.0}}')


async def test_lists_pass_with_cursors_and_members_nobody_knows(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin()
        first = (await front.send(request("tools/list"), session=session)).body["result"]
        second = (await front.send(request("tools/list", {"cursor": "2"}), session=session)).body["result"]
        modern = (await front.modern("tools/list"))["result"]

        schema = {"type": "object", "$defs": {"own": {"type": "string"}}}
        assert first["tools"][0] == {"name": "echo", "inputSchema": schema, "own": 1.0}
        assert first["nextCursor"] == "2"
        assert second == {"tools": []}
        assert modern["tools"] == first["tools"]
        assert {name: modern[name] for name in ("ttlMs", "cacheScope", "resultType", "nextCursor")} == {
            "ttlMs": 0,
            "cacheScope": "private",
            "resultType": "complete",
            "nextCursor": "2",
        }
        assert modern["_meta"] == {"declared": [], **WHO}


@pytest.mark.parametrize(("code", "status"), [(-32099, 200), (-1, 200), (-32602, 400), (-32042, 200)])
async def test_errors_pass_with_code_and_data(tmp_path: Path, code: int, status: int) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin()
        error = {"code": code, "message": "own", "data": {"a": 1.0}}

        assert (await front.call(session, "fail", {"code": code}))["error"] == error
        modern = await front.open_modern("tools/call", {"name": "fail", "arguments": {"code": code}}).ended()
        assert (modern.status, modern.body["error"]) == (status, error)


async def test_a_missing_resource_has_the_code_of_the_clients_era(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin()
        params = {"uri": "note://none"}

        assert (await front.send(request("resources/read", params), session=session)).body["error"]["code"] == -32002
        assert (await front.modern("resources/read", params))["error"]["code"] == -32602


async def test_unknown_methods_are_for_the_server_to_know(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin()

        assert (await front.send(request("other/method"), session=session)).body["error"]["code"] == -32601
        assert (await front.modern("other/method"))["error"]["code"] == -32601
        assert (await front.modern("own/method"))["result"]["own"] == 1.0


async def test_lines_that_are_no_messages_are_passed_over(tmp_path: Path) -> None:
    async with fronting(tmp_path, "--noisy") as front:
        session = await front.begin()

        assert text_of(await front.call(session, "echo", {"text": "heard"})) == "heard"


# Progress, logs, cancellation.


@pytest.mark.parametrize("token", ["1", 1, 0, "text"])
async def test_progress_comes_on_the_stream_of_its_call_under_the_clients_token(
    tmp_path: Path, token: int | str
) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin()
        waiting = front.open_call(session, "wait", meta={"progressToken": token}, request_id=8)
        await waiting.until_messages(1)
        calls = [
            front.open_call(session, "progress", meta={"progressToken": token}, request_id=9),
            front.open_modern("tools/call", {"name": "progress", "arguments": {}}, meta={"progressToken": token}),
        ]

        for call in calls:
            *reports, answer = (await call.ended()).messages
            assert [report["params"] for report in reports] == [
                {"progressToken": token, "progress": step, "total": 2, "own": 1.0} for step in (1, 2)
            ]
            assert text_of(answer) != repr(token)
        assert len(waiting.messages) == 1


async def test_progress_after_the_answer_goes_nowhere(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin()
        await front.call(session, "late", meta={"progressToken": 1})
        other = await front.open_call(session, "progress", meta={"progressToken": 1}).ended()

        assert [message["params"]["progress"] for message in other.messages[:-1]] == [1, 2]


async def test_logs_of_a_call_come_on_its_stream_and_in_the_modern_era_as_far_as_they_are_wanted(
    tmp_path: Path,
) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin()
        log = {"name": "log", "arguments": {}}
        level = "io.modelcontextprotocol/logLevel"

        handshake = (await front.open_call(session, "log").ended()).messages
        wanted = (await front.open_modern("tools/call", log, meta={level: "warning"}).ended()).messages
        unwanted = (await front.open_modern("tools/call", log).ended()).body

        assert [message["params"]["level"] for message in handshake[:-1]] == ["debug", "error"]
        assert [message["params"] for message in wanted[:-1]] == [{"level": "error", "data": {"own": 1.0}}]
        assert text_of(unwanted) == "logged"


async def test_a_cancelled_call_is_cancelled_at_the_server_by_its_id_there(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin()
        call = front.open_call(session, "wait", meta={"progressToken": "p"}, request_id="mine")
        await call.until_messages(1)

        params = {"requestId": "mine", "reason": "enough"}
        await front.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}, session=session)
        await call.ended()
        await front.until(lambda: bool(front.sent("notifications/cancelled")))

        (sent,) = front.sent("tools/call")
        (cancelled,) = front.sent("notifications/cancelled")
        assert cancelled["params"] == {"requestId": sent["id"]}
        assert text_of(await front.call(session, "echo", {"text": "still there"})) == "still there"


async def test_a_modern_client_that_closes_its_stream_cancels(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        able: dict[str, Any]
        for able in ({}, ALL):
            call = front.open_modern(
                "tools/call",
                {"name": "wait", "arguments": {}},
                meta={"progressToken": "p"},
                capabilities=able,
            )
            await call.until_messages(1)
            call.gone.set()
            await call.finished()
        await front.until(lambda: len(front.sent("notifications/cancelled")) == 2)


async def test_a_handshake_client_that_closes_its_stream_does_not_cancel(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin(capabilities={"elicitation": {}})
        call = front.open_call(session, "ask")
        (question,) = await call.until_messages(1)
        call.gone.set()
        await front.respond(session, question, {"action": "decline"})

        await call.finished()
        assert not front.sent("notifications/cancelled")


# The bridge.


async def test_a_modern_client_is_served_by_a_handshake(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        meta = {"traceparent": "00-1", "own/key": {"a": 1.0}}
        await front.modern_call("echo", {"text": "x"}, meta=meta, capabilities={"roots": {}})

        initialize, initialized, call = front.messages
        assert initialize["params"] == {
            "protocolVersion": "2025-11-25",
            "capabilities": {"roots": {}},
            "clientInfo": {"name": "modern", "version": "1"},
        }
        assert initialized["method"] == "notifications/initialized"
        assert call["params"] == {"name": "echo", "arguments": {"text": "x"}, "_meta": meta}


@pytest.mark.parametrize("is_known", [True, False])
async def test_discovery_is_answered_from_what_the_server_said_of_itself(tmp_path: Path, *, is_known: bool) -> None:
    async with fronting(tmp_path, is_known=is_known) as front:
        found = (await front.modern("server/discover"))["result"]

        assert found["capabilities"]["experimental"] == {"own": {"a": 1.0}}
        assert found["instructions"] == "Be brief."
        assert found["_meta"] == WHO
        assert not front.processes


async def test_modern_calls_of_one_user_share_a_process_as_long_as_they_declare_the_same(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        plain = json.loads(text_of(await front.modern_call("ids")))[0]
        again = json.loads(text_of(await front.modern_call("ids")))[0]
        able = json.loads(text_of(await front.modern_call("ids", capabilities={"roots": {}})))[0]
        carls = json.loads(text_of(await front.modern_call("ids", authorization=f"Bearer {CARL}")))[0]

        assert plain == again
        assert len({plain, able, carls}) == 3


# Processes.


async def test_each_session_has_a_process_of_its_own_which_ends_with_it(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        first, second = await front.begin(), await front.begin()
        one, other = [json.loads(text_of(await front.call(session, "ids")))[0] for session in (first, second)]
        assert one != other

        await front.send(None, session=first, method="DELETE", content_type=None)
        await front.until(lambda: not is_alive(one))

        assert "EOF" in front.lines
        assert text_of(await front.call(second, "echo", {"text": "on"})) == "on"
    assert not is_alive(other)


async def test_a_process_has_a_group_and_session_of_its_own(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        pid, group, session, directory, _ = json.loads(text_of(await front.modern_call("ids")))

        assert (group, session) == (pid, pid)
        assert group != os.getpgid(0)
        assert directory == str(Path.cwd())


async def test_a_process_gets_the_environment_that_is_given_and_nothing_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTH_SECRET_KEY", "ours")
    async with fronting(tmp_path, environment={"PATH": "/bin", "OWN": "{user}"}) as front:
        seen = json.loads(text_of(await front.modern_call("environment")))

        assert {name: value for name, value in seen.items() if name != "LC_CTYPE"} == {
            "PATH": "/bin",
            "OWN": seen["OWN"],
        }
        assert seen["OWN"].startswith("ann-")


async def test_two_users_get_two_names_in_arguments(tmp_path: Path) -> None:
    async with fronting(tmp_path, "--file={user}") as front:
        names = [
            json.loads(text_of(await front.modern_call("ids", authorization=f"Bearer {token}")))[4][1]
            for token in (READER, CARL)
        ]

        assert [name.partition("-")[0] for name in (names[0][7:], names[1][7:])] == ["ann", "carl"]


async def test_forty_calls_at_once_are_answered_each_to_its_own(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin()
        calls = [
            front.open_call(session, "echo", {"text": str(number)}, request_id=number)
            if number % 2
            else front.open_modern("tools/call", {"name": "echo", "arguments": {"text": str(number)}})
            for number in range(40)
        ]

        assert [text_of((await call.ended()).body) for call in calls] == [str(number) for number in range(40)]


async def test_a_serial_process_is_asked_one_thing_at_a_time(tmp_path: Path) -> None:
    async with fronting(tmp_path, is_serial=True) as front:
        session = await front.begin()
        calls = [front.open_call(session, "count", request_id=number) for number in range(20)]

        counts = [int(text_of((await call.ended()).body)) for call in calls]
        assert sorted(counts) == list(range(1, 21))


async def test_a_large_argument_and_result_pass(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin()
        text = "x" * 3_000_000

        assert text_of(await front.call(session, "echo", {"text": text})) == text


# Death.


async def test_a_process_that_is_killed_in_a_call_fails_it_and_ends_its_session_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with fronting(tmp_path) as front:
        session, other = await front.begin(), await front.begin()
        pid = json.loads(text_of(await front.call(session, "ids")))[0]
        call = front.open_call(session, "wait", meta={"progressToken": 1})
        await call.until_messages(1)
        os.kill(pid, signal.SIGKILL)

        assert (await call.ended()).messages[-1]["error"] == {"code": -32603, "message": INCIDENT}
        assert (await front.send(request("tools/list"), session=session)).status == 404
        assert (await front.send(request("tools/list"), session=other)).status == 200
        assert "incident abababababababab: python" in caplog.text
        assert "It was ended by signal 9." in caplog.text
        assert text_of(await front.call(await front.begin(), "echo", {"text": "anew"})) == "anew"


async def test_a_death_ends_the_streams_of_its_session(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin()
        stream = front.listen(session)
        await front.call(session, "die")

        await stream.ended()
        assert (await front.listen(session).ended()).status == 404


async def test_the_server_logs_as_much_as_the_keenest_modern_client_wants(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        for level in ("error", "warning", "critical", "warning"):
            await front.modern_call("echo", meta={"io.modelcontextprotocol/logLevel": level})

        assert [sent["params"]["level"] for sent in front.sent("logging/setLevel")] == ["error", "warning"]


async def test_a_modern_call_after_a_death_goes_to_a_new_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with fronting(tmp_path) as front:
        assert (await front.modern_call("die"))["error"] == {"code": -32603, "message": INCIDENT}
        assert text_of(await front.modern_call("echo", {"text": "anew"})) == "anew"
        assert "It ended with code 3." in caplog.text
        assert "about to die" in caplog.text


async def test_a_session_that_this_process_does_not_know_is_over(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin()
        front.front.session_ended(front.front._joined.copy().popitem()[0])

        refused = await front.send(request("tools/list"), session=session)
        assert (refused.status, refused.body["error"]["message"]) == (
            404,
            "There is no such session. Send initialize to begin another one.",
        )


async def test_what_a_process_launched_ends_with_it(tmp_path: Path) -> None:
    async with fronting(tmp_path, "--stays") as front:
        session = await front.begin()
        (child,) = [int(line.removeprefix("child ")) for line in front.lines if line.startswith("child ")]
        assert is_alive(child)

        await front.send(None, session=session, method="DELETE", content_type=None)
        await front.until(lambda: not is_alive(child))


async def test_an_idle_process_ends_and_its_session_with_it(tmp_path: Path) -> None:
    async with fronting(tmp_path, idle_seconds=0.05) as front:
        session = await front.begin()
        (pid,) = front.processes
        await front.until(lambda: not is_alive(pid))

        assert (await front.send(request("tools/list"), session=session)).status == 404


async def test_a_process_with_a_call_under_way_is_not_idle(tmp_path: Path) -> None:
    async with fronting(tmp_path, idle_seconds=0.05) as front:
        session = await front.begin(capabilities={"elicitation": {}})
        call = front.open_call(session, "ask")
        (question,) = await call.until_messages(1)
        idle = await front.begin()
        gone = front.processes[-1]
        await front.until(lambda: not is_alive(gone))
        await front.respond(session, question, {"action": "decline"})

        assert idle != session
        assert json.loads(text_of((await call.ended()).messages[-1])) == {"action": "decline"}


async def test_one_users_processes_make_room_for_each_other(tmp_path: Path) -> None:
    async with fronting(tmp_path, most_per_user=2) as front:
        first, second = await front.begin(), await front.begin()
        third = await front.begin()

        statuses = [
            (await front.send(request("tools/list"), session=session)).status for session in (first, second, third)
        ]
        assert statuses == [404, 200, 200]


async def test_a_user_pushes_no_others_out(tmp_path: Path) -> None:
    async with fronting(tmp_path, most_sessions=1) as front:
        session = await front.begin()
        refused = await front.modern_call("echo", authorization=f"Bearer {CARL}")

        assert refused["error"]["message"].startswith("As many sessions with the server behind are in use")
        assert (await front.send(request("tools/list"), session=session)).status == 200


# Scopes.


NOTES = ScopeMap(tools={"echo": ["notes:read"], "log": ["notes:write"], "ids": any_of("base", "other")}, default=["no"])


async def test_what_needs_a_scope_is_kept_for_nobody_else_and_what_needs_none_as_the_server_says(
    tmp_path: Path,
) -> None:
    scope_map = ScopeMap(resources={"note://1": ["notes:read"], "note://2": []}, tools={"*": []})
    async with fronting(tmp_path, "--public", scope_map=scope_map) as front:
        scoped, open_to_all = [(await front.modern("resources/read", {"uri": f"note://{n}"}))["result"] for n in (1, 2)]
        listed = (await front.modern("tools/list"))["result"]

        assert (scoped["cacheScope"], scoped["ttlMs"], scoped["own"]) == ("private", 60_000, 1.0)
        assert open_to_all["cacheScope"] == "public"
        assert listed["cacheScope"] == "private"
    async with fronting(tmp_path, "--public", scope_map=scope_map, is_guarded=False) as front:
        # Whoever may see all shares a cache with those who may not.
        assert (await front.modern("tools/list"))["result"]["cacheScope"] == "private"
    async with fronting(tmp_path, "--public") as front:
        assert (await front.modern("tools/list"))["result"]["cacheScope"] == "public"


async def test_lists_show_what_the_caller_may_use_and_the_rest_is_403(tmp_path: Path) -> None:
    async with fronting(tmp_path, scope_map=NOTES) as front:
        session = await front.begin()
        handshake = (await front.send(request("tools/list"), session=session)).body["result"]
        modern = (await front.modern("tools/list"))["result"]
        refused = await front.open_call(session, "log").ended()
        refused_modern = await front.open_modern("tools/call", {"name": "log", "arguments": {}}).ended()

        assert [tool["name"] for tool in handshake["tools"]] == ["echo", "ids"]
        assert handshake["nextCursor"] == "2"
        assert modern["tools"] == handshake["tools"]
        for answer in (refused, refused_modern):
            assert answer.status == 403
            assert 'scope="notes:write"' in answer.headers["www-authenticate"]
        assert text_of(await front.call(session, "echo", {"text": "may"})) == "may"
        assert [sent["params"]["name"] for sent in front.sent("tools/call")] == ["echo"]


async def test_without_tokens_a_front_serves_everybody_as_nobody(tmp_path: Path) -> None:
    async with fronting(tmp_path, is_guarded=False) as front:
        session = await front.begin(authorization=None)

        assert text_of(await front.call(session, "echo", {"text": "x"}, authorization=None)) == "x"
        assert text_of(await front.modern_call("echo", {"text": "y"}, authorization=None)) == "y"


async def test_a_token_never_reaches_the_server(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin()
        await front.call(session, "echo")
        await front.modern_call("echo")

        assert "gp_at_" not in front.record.read_text()


async def test_a_request_without_a_session_is_served_by_the_users_common_process(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        answer = await front.open_call(None, "echo", {"text": "alone"}, mcp_protocol_version="2025-06-18").ended()
        modern = await front.modern_call("echo", {"text": "alone"})

        assert text_of(answer.body) == text_of(modern) == "alone"
        assert len(front.processes) == 1


async def test_at_the_end_calls_under_way_may_finish(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin(capabilities={"elicitation": {}})
        call = front.open_call(session, "ask")
        (question,) = await call.until_messages(1)
        front.front._is_stopping = True
        closing = asyncio.ensure_future(front.front._pool.close())
        await front.respond(session, question, {"action": "accept"})

        assert json.loads(text_of((await call.ended()).messages[-1])) == {"action": "accept"}
        await closing
