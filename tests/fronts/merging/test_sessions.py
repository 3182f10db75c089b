"""Client sessions of the handshake era before several servers, each with processes of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.fronts.front_world import ALL, Front, is_alive
from tests.fronts.merging.merging_world import Scripted, merging, names_in, said, stdio, tools
from tests.patience import PATIENCE
from tests.web.mcp.sessions.session_world import request, text_of

INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


async def begin(front: Front, **options: Any) -> str:
    """Begin a session wholly."""
    session = await front.begin(**options)
    await front.send(INITIALIZED, session=session)
    return session


def read_by(record: Path, method: str) -> list[Any]:
    """The messages of one method that a recording server has read."""
    lines = record.read_text().splitlines() if record.exists() else []
    messages = [json.loads(line.partition(" ")[2]) for line in lines if "{" in line]
    return [message for message in messages if message.get("method") == method]


async def until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what another process does sets no event here
            await asyncio.sleep(0.005)


async def pid_of(front: Front, session: str, prefix: str) -> int:
    pid: int = json.loads(text_of(await front.call(session, f"{prefix}_ids")))[0]
    return pid


async def test_each_server_gets_what_the_client_says_of_itself_and_that_it_is_initialized(tmp_path: Path) -> None:
    records = {name: tmp_path / name for name in ("a", "b")}
    async with merging(tmp_path, {name: stdio(record) for name, record in records.items()}) as front:
        await begin(front, capabilities=ALL, version="2025-06-18")
        for record in records.values():
            await until(lambda record=record: bool(read_by(record, "notifications/initialized")))
            (initialize,) = read_by(record, "initialize")
            assert initialize["params"]["capabilities"] == ALL
            assert initialize["params"]["protocolVersion"] == "2025-06-18"


async def test_what_servers_ask_reaches_the_client_under_ids_of_its_session_and_goes_back_to_who_asked(
    tmp_path: Path,
) -> None:
    targets = {name: stdio(tmp_path / name) for name in ("a", "b")}
    async with merging(tmp_path, targets) as front:
        session = await begin(front, capabilities=ALL)
        calls = [front.open_call(session, f"{name}_ask", request_id=name) for name in targets]
        questions = [(await call.until_messages(1))[0] for call in calls]
        assert {question["method"] for question in questions} == {"elicitation/create"}
        assert questions[0]["id"] != questions[1]["id"]
        for question, name in zip(reversed(questions), ("Bob", "Ann"), strict=True):
            await front.respond(session, question, {"action": "accept", "content": {"name": name}})
        answers = [(await call.ended()).messages[-1] for call in calls]

        assert [json.loads(text_of(answer))["content"]["name"] for answer in answers] == ["Ann", "Bob"]


async def test_progress_of_what_a_server_asks_comes_back_to_it_under_its_own_token(tmp_path: Path) -> None:
    targets = {name: stdio(tmp_path / name) for name in ("a", "b")}
    async with merging(tmp_path, targets) as front:
        session = await begin(front, capabilities=ALL)
        calls = [front.open_call(session, f"{name}_ask_with_token", {"token": 1}, request_id=name) for name in targets]
        questions = [(await call.until_messages(1))[0] for call in calls]
        tokens = [question["params"]["_meta"]["progressToken"] for question in questions]
        assert tokens[0] != tokens[1]
        for token, progress in ((tokens[1], 0.5), (7, 0.7), ("x", 0.8)):
            params = {"progressToken": token, "progress": progress}
            await front.send({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}, session=session)
        await until(lambda: bool(read_by(tmp_path / "b", "notifications/progress")))
        for question in questions:
            await front.respond(session, question, {"action": "decline"})
        for call in calls:
            await call.ended()

        assert [each["params"] for each in read_by(tmp_path / "b", "notifications/progress")] == [
            {"progressToken": 1, "progress": 0.5}
        ]
        assert not read_by(tmp_path / "a", "notifications/progress")


async def test_progress_and_cancellation_are_of_the_call_they_belong_to(tmp_path: Path) -> None:
    targets = {name: stdio(tmp_path / name) for name in ("a", "b")}
    async with merging(tmp_path, targets) as front:
        session = await begin(front)
        done = front.open_call(session, "a_progress", meta={"progressToken": "t"}, request_id=1)
        waiting = front.open_call(session, "b_wait", meta={"progressToken": "t"}, request_id=2)
        await waiting.until_messages(1)
        params = {"requestId": 2, "reason": "enough"}
        await front.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}, session=session)
        await until(lambda: bool(read_by(tmp_path / "b", "notifications/cancelled")))

        messages = (await done.ended()).messages
        assert [message["params"]["progress"] for message in messages[:-1]] == [1, 2]
        assert {message["params"]["progressToken"] for message in messages[:-1]} == {"t"}
        assert not read_by(tmp_path / "a", "notifications/cancelled")


async def test_changes_of_each_reach_the_sessions_own_stream(tmp_path: Path) -> None:
    targets = {name: stdio(tmp_path / name) for name in ("a", "b")}
    async with merging(tmp_path, targets) as front:
        session = await begin(front)
        stream = front.listen(session)
        await stream.until(lambda: stream.status == 200)
        await front.call(session, "a_change")
        await front.call(session, "b_update", {"uri": "note://1"})

        assert [message["method"] for message in await stream.until_messages(2)] == [
            "notifications/tools/list_changed",
            "notifications/resources/updated",
        ]
        stream.gone.set()


async def test_a_log_level_is_for_all_that_log_and_one_that_does_not_is_not_asked(tmp_path: Path) -> None:
    quiet = Scripted({})
    targets = {"a": stdio(tmp_path / "a"), "quiet": quiet, "b": stdio(tmp_path / "b")}
    async with merging(tmp_path, targets) as front:
        session = await begin(front)
        answer = await front.send(request("logging/setLevel", {"level": "error"}), session=session)

        assert answer.body["result"] == {}
        for name in ("a", "b"):
            assert [each["params"] for each in read_by(tmp_path / name, "logging/setLevel")] == [{"level": "error"}]
        assert not quiet.sent("logging/setLevel")


async def test_where_nobody_logs_there_is_no_level(tmp_path: Path) -> None:
    async with merging(tmp_path, {"a": Scripted({}), "b": Scripted({})}) as front:
        session = await begin(front)
        answer = await front.send(request("logging/setLevel", {"level": "error"}), session=session)

        assert answer.body["error"]["code"] == -32601


async def test_a_resource_that_nobody_is_known_to_have_is_watched_wherever_it_may_be(tmp_path: Path) -> None:
    targets = {"a": stdio(tmp_path / "a"), "none": Scripted({}), "b": stdio(tmp_path / "b")}
    async with merging(tmp_path, targets) as front:
        session = await begin(front)
        for method in ("resources/subscribe", "resources/unsubscribe"):
            answer = await front.send(request(method, {"uri": "note://1"}), session=session)
            assert answer.body["result"] == {}
            for name in ("a", "b"):
                assert [each["params"] for each in read_by(tmp_path / name, method)] == [{"uri": "note://1"}]


async def test_a_server_that_dies_takes_its_own_calls_along_and_comes_back_with_what_was_said(tmp_path: Path) -> None:
    targets = {name: stdio(tmp_path / name) for name in ("a", "b")}
    async with merging(tmp_path, targets) as front:
        session = await begin(front)
        stream = front.listen(session)
        await stream.until(lambda: stream.status == 200)
        await front.send(request("logging/setLevel", {"level": "error"}), session=session)
        await front.send(request("resources/subscribe", {"uri": "note://1"}), session=session)
        before = {name: await pid_of(front, session, name) for name in targets}
        died = await front.call(session, "a_die")
        after = {name: await pid_of(front, session, name) for name in targets}

        assert died["error"]["message"] == "a behind has no answer; the log explains it as incident abababababababab."
        assert before["b"] == after["b"]
        assert before["a"] != after["a"]
        for method in ("notifications/initialized", "logging/setLevel", "resources/subscribe"):
            await until(lambda method=method: len(read_by(tmp_path / "a", method)) == 2)
        # And the client is told that there is something else now.
        messages = await stream.until_messages(2)
        assert {message["method"] for message in messages} == {
            "notifications/tools/list_changed",
            "notifications/resources/list_changed",
        }
        stream.gone.set()


async def test_a_server_that_dies_with_nothing_under_way_ends_no_session_of_the_clients(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    targets = {"a": stdio(tmp_path / "a"), "fn": Scripted({"tools/call": said("there")})}
    async with merging(tmp_path, targets) as front:
        session = await begin(front)
        pid = await pid_of(front, session, "a")
        os.kill(pid, signal.SIGKILL)
        await until(lambda: "a session with the server behind is over" in caplog.text)

        assert text_of(await front.call(session, "fn_x")) == "there"
        assert text_of(await front.call(session, "a_count")) == "1"
        assert await pid_of(front, session, "a") != pid


async def test_a_server_that_is_late_is_joined_when_it_is_there(tmp_path: Path) -> None:
    gate, fast = tmp_path / "gate", Scripted({"tools/list": tools("x")})
    slow = stdio(tmp_path / "slow", f"--waits-for={gate}")
    async with merging(tmp_path, {"slow": slow, "fast": fast}, wait_seconds=0.05) as front:
        session = await begin(front)
        stream = front.listen(session)
        await stream.until(lambda: stream.status == 200)
        without = (await front.send(request("tools/list"), session=session)).body["result"]
        gate.touch()
        messages = await stream.until_messages(2)
        whole = (await front.send(request("tools/list"), session=session)).body["result"]

        assert names_in(without) == ["fast_x"]
        assert {message["method"] for message in messages} == {
            "notifications/tools/list_changed",
            "notifications/resources/list_changed",
        }
        assert names_in(whole)[:1] == ["slow_echo"]
        assert len(read_by(tmp_path / "slow", "notifications/initialized")) == 1
        stream.gone.set()


async def test_the_end_of_a_session_ends_what_it_has_with_each_server(tmp_path: Path) -> None:
    targets = {name: stdio(tmp_path / name) for name in ("a", "b")}
    async with merging(tmp_path, targets) as front:
        session = await begin(front)
        pids = [await pid_of(front, session, name) for name in targets]
        await front.send(None, session=session, method="DELETE", content_type=None)

        for pid in pids:
            await until(lambda pid=pid: not is_alive(pid))
        assert (await front.send(request("tools/list"), session=session)).status == 404


async def test_a_session_of_another_run_is_unknown(tmp_path: Path) -> None:
    async with merging(tmp_path, {"a": stdio(tmp_path / "a")}) as front:
        session = await begin(front)
        front.front._sessions._sessions.clear()  # type: ignore[attr-defined]

        assert (await front.send(request("tools/list"), session=session)).status == 404


async def test_without_a_session_requests_are_answered_one_by_one(tmp_path: Path) -> None:
    async with merging(tmp_path, {"a": stdio(tmp_path / "a"), "fn": Scripted({"tools/list": tools("x")})}) as front:
        assert (await front.send(request("ping"))).body["result"] == {}
        result = (await front.send(request("tools/list"))).body["result"]

        assert {"a_echo", "fn_x"} <= set(names_in(result))


# Clients of the modern era.


async def test_a_client_of_the_modern_era_is_asked_by_the_answer_to_its_call(tmp_path: Path) -> None:
    targets = {name: stdio(tmp_path / name) for name in ("a", "b")}
    async with merging(tmp_path, targets) as front:
        asked = [(await front.modern_call(f"{name}_ask", capabilities=ALL))["result"] for name in targets]
        assert [each["resultType"] for each in asked] == ["input_required"] * 2
        given = {"inputResponses": {key: {"action": "decline"} for key in asked[0]["inputRequests"]}}
        params = {"name": "a_ask", "arguments": {}, **given, "requestState": asked[0]["requestState"]}
        answered = await front.modern("tools/call", params, capabilities=ALL)
        # A state of one server's is none of another's, where all that the client sees is alike.
        other = await front.modern("tools/call", {**params, "name": "b_ask"}, capabilities=ALL)

        assert json.loads(text_of(answered)) == {"action": "decline"}
        assert other["error"]["code"] == -32602


async def test_one_subscription_hears_of_all_servers(tmp_path: Path) -> None:
    targets = {name: stdio(tmp_path / name) for name in ("a", "b")}
    async with merging(tmp_path, targets) as front:
        wanted = {"toolsListChanged": True, "resourceSubscriptions": ["note://1"]}
        stream = front.open_modern("subscriptions/listen", {"notifications": wanted}, request_id=5)
        (acknowledged,) = await stream.until_messages(1)
        for name in targets:
            await until(lambda name=name: bool(read_by(tmp_path / name, "resources/subscribe")))
        await front.modern_call("a_change")
        await stream.until_messages(2)
        await front.modern_call("b_update", {"uri": "note://1"})
        messages = await stream.until_messages(3)

        tag = {"_meta": {"io.modelcontextprotocol/subscriptionId": 5}}
        assert acknowledged["params"] == {**tag, "notifications": wanted}
        assert messages[1:] == [
            {"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": tag},
            {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {**tag, "uri": "note://1"}},
        ]
        stream.gone.set()
        await stream.finished()
        for name in targets:
            await until(lambda name=name: bool(read_by(tmp_path / name, "resources/unsubscribe")))


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_subscription_outlasts_a_server_and_hears_of_it_again_when_it_is_back(
    tmp_path: Path, is_there: bool
) -> None:
    pauses: list[float] = []
    flags = () if is_there else (f"--waits-for={tmp_path / 'gate'}",)
    targets = {"a": stdio(tmp_path / "a", *flags, start_seconds=0.5), "b": stdio(tmp_path / "b")}
    async with merging(tmp_path, targets) as front:

        async def pause(seconds: float) -> None:
            pauses.append(seconds)
            (tmp_path / "gate").touch()
            await asyncio.sleep(0.05)

        front.front._listening._pause = pause  # type: ignore[attr-defined]
        stream = front.open_modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, request_id=5)
        await stream.until_messages(1)
        if is_there:
            await front.modern_call("a_die")
        (changed,) = (await stream.until_messages(2))[1:]

        assert changed["method"] == "notifications/tools/list_changed"
        assert pauses[0] == 1.0
        stream.gone.set()
        await stream.finished()


async def test_subscriptions_end_with_their_results_when_the_server_stops(tmp_path: Path) -> None:
    async with merging(tmp_path, {"a": stdio(tmp_path / "a")}) as front:
        wanted = {"notifications": {"toolsListChanged": True}}
        stream = front.open_modern("subscriptions/listen", wanted, request_id=5)
        await stream.until_messages(1)
        await front.front.drain()

        assert (await stream.ended()).messages[-1]["result"]["resultType"] == "complete"


async def test_what_is_being_started_is_ended_with_the_server(tmp_path: Path) -> None:
    slow = stdio(tmp_path / "slow", f"--waits-for={tmp_path / 'gate'}", f"--says-pid={tmp_path / 'pid'}")
    async with merging(tmp_path, {"slow": slow, "fast": Scripted({})}, wait_seconds=0.05) as front:
        await begin(front)
        await until((tmp_path / "pid").exists)
        pid = int((tmp_path / "pid").read_text())

    assert not is_alive(pid)
