"""Processes behind a front that do not do as they should."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from gatepost.fronts import stdio_backend
from gatepost.fronts.backend import SessionUser
from gatepost.fronts.user_name import name_of
from gatepost.web.mcp.sessions import lifecycle
from tests.fronts.front_world import ALL, CARL, Front, fronting, is_alive
from tests.web.mcp.sessions.session_world import request, text_of

INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


@pytest.mark.parametrize(
    ("flag", "sentence"),
    [
        ("--refuses", "It refused to initialize: No."),
        ("--nonsense", "Its answer to initialize is none."),
        ("--die", "It ended before it answered: It ended with code 1."),
        ("--silent", "It did not answer within 2 seconds."),
    ],
)
async def test_a_process_that_does_not_start_is_an_incident_and_not_tried_again_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, flag: str, sentence: str
) -> None:
    async with fronting(tmp_path, flag, start_seconds=2 if flag == "--silent" else 60) as front:
        first = await front.modern("tools/list")
        second = (await front.send(request("initialize", INITIALIZE))).body
        carls = await front.modern("tools/list", authorization=f"Bearer {CARL}")

        assert first["error"]["code"] == second["error"]["code"] == carls["error"]["code"] == -32603
        reasons = [record.getMessage() for record in caplog.records if "has no answer" in record.getMessage()]
        assert [sentence in reason for reason in reasons] == [True, False, True]
        assert "did not start a moment ago" in reasons[1]


async def test_calls_that_come_while_a_process_starts_wait_for_the_one(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        calls = [front.open_modern("tools/call", {"name": "ids", "arguments": {}}) for _ in range(5)]
        gone = calls.pop(0)
        gone.gone.set()
        pids = {json.loads(text_of((await call.ended()).body))[0] for call in calls}
        await gone.finished()

        assert len(pids) == 1


async def test_a_client_that_leaves_while_its_process_starts_leaves_none_behind(tmp_path: Path) -> None:
    async with fronting(tmp_path, "--silent", "--stays") as front:
        call = front.open(request("initialize", INITIALIZE))
        await front.until(lambda: "initialize" in str(front.lines))
        (pid,) = front.processes
        call.gone.set()
        await call.finished()

        await front.until(lambda: not is_alive(pid))


async def test_a_client_that_gets_no_session_gets_no_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "MOST_OF_EVERYBODY", 0)
    async with fronting(tmp_path, is_guarded=False) as front:
        answer = await front.send(request("initialize", INITIALIZE), authorization=None)
        (pid,) = front.processes

        assert answer.status == 200
        assert "mcp-session-id" not in answer.headers
        await front.until(lambda: not is_alive(pid))


async def test_a_message_that_is_too_long_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stdio_backend, "LINE_LIMIT", 10_000)
    async with fronting(tmp_path) as front:
        assert (await front.modern_call("echo", {"text": "x" * 20_000}))["error"]["code"] == -32603
        assert "It wrote a message of more than 10000 bytes." in caplog.text
        await front.until(lambda: not is_alive(front.processes[0]))


async def test_a_process_that_does_not_end_is_terminated_and_then_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdio_backend, "_CLOSING_SECONDS", 0.3)
    async with fronting(tmp_path, "--stubborn") as front:
        session = await front.begin()
        (pid,) = front.processes
        await front.send(None, session=session, method="DELETE", content_type=None)
        await front.until(lambda: not is_alive(pid))

        assert front.lines[-2:] == ["EOF", "SIGTERM"]


async def test_a_process_whose_output_another_holds_open_is_over_when_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdio_backend, "_LAST_BYTES_SECONDS", 0.05)
    async with fronting(tmp_path, "--stays") as front:
        session = await front.begin()
        call = front.open_call(session, "wait", meta={"progressToken": 1})
        await call.until_messages(1)
        child = int(front.lines[0].removeprefix("child "))
        os.kill(front.processes[0], signal.SIGKILL)

        assert (await call.ended()).messages[-1]["error"]["code"] == -32603
        await front.until(lambda: not is_alive(child))


async def test_a_process_that_closes_its_output_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stdio_backend, "_LAST_BYTES_SECONDS", 0.05)
    async with fronting(tmp_path) as front:
        assert (await front.modern_call("mute"))["error"]["code"] == -32603
        assert "It closed its output." in caplog.text
        await front.until(lambda: not is_alive(front.processes[0]))


async def test_of_many_lines_on_standard_error_the_log_gets_some(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "gatepost.front")
    async with fronting(tmp_path) as front:
        assert text_of(await front.modern_call("shout")) == "shouted"
        await front.until(lambda: "(a long line)" in front.front.backend.last_words())

        assert 0 < sum(": line " in record.getMessage() for record in caplog.records) < 100


async def test_a_question_that_the_server_takes_back_is_taken_back_at_the_client(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin(capabilities=ALL)
        answer = await front.call(session, "withdraw")
        modern = await front.modern_call("withdraw", capabilities=ALL)

        assert text_of(answer) == "withdrawn"
        await front.until(lambda: _asked(front) == 0)
        assert modern["result"]["resultType"] in {"complete", "input_required"}


async def test_a_ping_of_the_server_is_answered_here_and_its_own_methods_by_the_client(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin(capabilities=ALL)
        ping = await front.call(session, "ask_as_told", {"method": "ping"})
        call = front.open_call(session, "ask_as_told", {"method": "own/question"})
        (question,) = await call.until_messages(1)
        await front.respond(session, question, {"own": 2})
        modern = await front.modern_call("ask_as_told", {"method": "own/question"}, capabilities=ALL)

        assert json.loads(text_of(ping)) == {}
        assert (question["method"], question["params"]) == ("own/question", {"own": 1.0})
        assert json.loads(text_of((await call.ended()).messages[-1])) == {"own": 2}
        assert json.loads(text_of(modern))["code"] == -32601


async def test_a_call_that_is_answered_to_one_request_is_not_to_another(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        first = await front.modern_call("ask_and_report", capabilities=ALL)
        params = {"name": "ask_and_report", "arguments": {}, "requestState": first["result"]["requestState"]}
        answers = await asyncio.gather(
            front.modern("tools/call", params, capabilities=ALL), front.modern("tools/call", params, capabilities=ALL)
        )

        assert sorted("result" in answer for answer in answers) == [False, True]


def _asked(front: Front) -> int:
    """How many questions of servers are open."""
    return sum(len(pooled.session._asked) for pooled in front.front._pool._pooled.values())


def test_names_of_users_are_their_own_and_harmless() -> None:
    ann, other = SessionUser("https://a", "../Ann & Co"), SessionUser("https://b", "../Ann & Co")

    assert name_of(ann).startswith("ann-co-")
    assert name_of(ann) != name_of(other)
    assert name_of(ann) == name_of(SessionUser("https://a", "../Ann & Co"))
    assert name_of(SessionUser("https://a", "日本")).startswith("user-")
    assert name_of(SessionUser("a", "b c")) != name_of(SessionUser("a b", "c"))
    assert name_of(None) == "nobody"
