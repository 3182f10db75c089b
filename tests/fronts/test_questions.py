"""What a server asks its client, through a front: elicitation, sampling and roots, in both eras."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gatepost.fronts import held_calls
from gatepost.protocol.messages import Request
from gatepost.server.calls.exchange import Exchange
from tests.fronts.front_world import ALL, CARL, Front, fronting
from tests.fronts.recording_server import FORM
from tests.web.mcp.sessions.session_world import text_of

QUESTIONS = [
    ("ask", "elicitation/create", FORM, {"action": "accept", "content": {"name": "Ann"}, "own": 1.0}),
    (
        "sample",
        "sampling/createMessage",
        {"messages": [], "maxTokens": 5},
        {"role": "assistant", "model": "m", "content": {"type": "text", "text": "x"}},
    ),
    ("roots", "roots/list", {}, {"roots": [{"uri": "file:///a", "own": 1.0}]}),
]
UNDECLARED = {"code": -32601, "message": "The client has not declared that it answers this."}


@pytest.mark.parametrize(("tool", "method", "params", "result"), QUESTIONS)
async def test_a_handshake_client_is_asked_on_the_stream_of_its_call(
    tmp_path: Path, tool: str, method: str, params: Any, result: Any
) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin(capabilities=ALL)
        call = front.open_call(session, tool)
        (question,) = await call.until_messages(1)
        await front.respond(session, question, result)

        assert (question["method"], question["params"]) == (method, params)
        assert json.loads(text_of((await call.ended()).messages[-1])) == result


async def ask_again(front: Front, first: Any, responses: Any, tool: str, **more: Any) -> Any:
    """Send a call again with the responses to what it asked."""
    params = {
        "name": tool,
        "arguments": {},
        "inputResponses": responses,
        "requestState": first["result"]["requestState"],
    }
    return await front.modern("tools/call", params, **{"capabilities": ALL, **more})


@pytest.mark.parametrize(("tool", "method", "params", "result"), QUESTIONS)
async def test_a_modern_client_is_asked_by_the_answer_to_its_call_which_goes_on_when_it_comes_back(
    tmp_path: Path, tool: str, method: str, params: Any, result: Any
) -> None:
    async with fronting(tmp_path) as front:
        first = await front.modern_call(tool, capabilities=ALL)
        ((key, question),) = first["result"]["inputRequests"].items()
        second = await ask_again(front, first, {key: result}, tool)

        assert first["result"]["resultType"] == "input_required"
        assert question == {"method": method, "params": params}
        assert second["result"]["resultType"] == "complete"
        assert json.loads(text_of(second)) == result
        assert len(front.sent("tools/call")) == 1


async def test_a_modern_call_may_ask_several_times(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        first = await front.modern_call("ask_twice", capabilities=ALL)
        (key,) = first["result"]["inputRequests"]
        second = await ask_again(front, first, {key: {"action": "decline"}}, "ask_twice")
        ((other, question),) = second["result"]["inputRequests"].items()
        third = await ask_again(front, second, {other: {"action": "cancel"}}, "ask_twice")

        assert other != key
        assert question["params"]["message"] == "Again?"
        assert json.loads(text_of(third)) == [{"action": "decline"}, {"action": "cancel"}]


def askable_call() -> held_calls.HeldCall:
    params = {"name": "any", "_meta": {"io.modelcontextprotocol/clientCapabilities": ALL}}
    return held_calls.HeldCall(held_calls.Questions(ALL), Exchange(), Request(1, "tools/call", params))


async def test_what_a_call_asks_side_by_side_is_one_round() -> None:
    call = askable_call()

    async def work() -> bytes:
        await asyncio.gather(call.ask("elicitation/create", FORM), ask_a_little_later())
        return b"{}"

    async def ask_a_little_later() -> Any:
        for _ in range(5):
            await asyncio.sleep(0)
        return await call.ask("roots/list", {})

    call.start(work())
    asked = await call.outcome()

    assert isinstance(asked, dict)
    assert [question["method"] for question in asked.values()] == ["elicitation/create", "roots/list"]
    call.questions.respond(call, {key: {} for key in asked})
    assert await call.outcome() == b"{}"


async def test_a_call_that_ends_while_its_questions_are_gathered_is_answered() -> None:
    call = askable_call()

    async def work() -> bytes:
        asking = asyncio.ensure_future(call.ask("elicitation/create", FORM))
        for _ in range(5):
            await asyncio.sleep(0)
        asking.cancel()
        return b"{}"

    call.start(work())

    assert await call.outcome() == b"{}"


async def test_a_client_answers_two_questions_in_one_request(tmp_path: Path) -> None:
    answers = {"elicitation/create": {"action": "decline"}, "roots/list": {"roots": []}}
    async with fronting(tmp_path) as front:
        answer = await front.modern_call("ask_both", capabilities=ALL)
        while "inputRequests" in answer["result"]:
            asked = answer["result"]["inputRequests"]
            responses = {key: answers[question["method"]] for key, question in asked.items()}
            answer = await ask_again(front, answer, responses, "ask_both")

        assert json.loads(text_of(answer)) == list(answers.values())


async def test_progress_after_a_question_comes_under_the_token_that_the_client_came_back_with(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        first = await front.modern_call("ask_and_report", capabilities=ALL, meta={"progressToken": "first"})
        (key,) = first["result"]["inputRequests"]
        params = {
            "name": "ask_and_report",
            "arguments": {},
            "inputResponses": {key: {"action": "decline"}},
            "requestState": first["result"]["requestState"],
        }
        again = front.open_modern("tools/call", params, capabilities=ALL, meta={"progressToken": 2})

        assert [message["params"]["progressToken"] for message in (await again.ended()).messages[:-1]] == [2, 2]


async def test_a_client_that_brings_no_responses_is_asked_the_same_again(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        first = await front.modern_call("ask", capabilities=ALL)
        second = await ask_again(front, first, {"other": {}}, "ask")

        assert second["result"]["inputRequests"] == first["result"]["inputRequests"]


async def test_a_request_state_counts_once_and_for_its_user_and_arguments_alone(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        first = await front.modern_call("ask", capabilities=ALL)
        (key,) = first["result"]["inputRequests"]
        responses = {key: {"action": "decline"}}

        carls = await ask_again(front, first, responses, "ask", authorization=f"Bearer {CARL}")
        another = await ask_again(front, first, responses, "ask_twice")
        good = await ask_again(front, first, responses, "ask")
        repeated = await ask_again(front, first, responses, "ask")

        assert carls["error"]["code"] == another["error"]["code"] == -32602
        assert json.loads(text_of(good)) == {"action": "decline"}
        assert repeated["error"] == {
            "code": -32602,
            "message": '"requestState" names a call that is over; send the request again without it.',
        }


async def test_a_client_that_declares_nothing_is_not_asked(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin()

        assert json.loads(text_of(await front.call(session, "ask"))) == UNDECLARED
        assert json.loads(text_of(await front.modern_call("ask"))) == UNDECLARED
        assert json.loads(text_of(await front.modern_call("ask", capabilities={"roots": {}}))) == UNDECLARED


async def test_an_error_of_the_client_reaches_the_server(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        session = await front.begin(capabilities=ALL)
        call = front.open_call(session, "sample")
        (question,) = await call.until_messages(1)
        answer = {"jsonrpc": "2.0", "id": question["id"], "error": {"code": -1, "message": "User rejected"}}
        await front.send(answer, session=session)

        assert json.loads(text_of((await call.ended()).messages[-1])) == {"code": -1, "message": "User rejected"}


async def test_what_is_asked_outside_of_a_call_waits_for_the_sessions_own_stream(tmp_path: Path) -> None:
    async with fronting(tmp_path, "--asks-first") as front:
        session = await front.begin(capabilities=ALL)
        await front.send({"jsonrpc": "2.0", "method": "notifications/initialized"}, session=session)
        stream = front.listen(session)
        (question,) = await stream.until_messages(1)
        await front.respond(session, question, {"roots": []})

        await front.until(lambda: 'roots {"roots": []}' in front.lines)
        assert question["method"] == "roots/list"
        stream.gone.set()
        await stream.finished()


async def test_what_is_asked_outside_of_a_call_is_asked_of_the_next_modern_call(tmp_path: Path) -> None:
    async with fronting(tmp_path, "--asks-first") as front:
        # Only three methods may be answered with questions.
        assert "tools" in (await front.modern("tools/list", capabilities=ALL))["result"]
        call = front.open_modern("tools/call", {"name": "wait", "arguments": {}}, capabilities=ALL)
        first = (await call.ended()).body
        ((key, question),) = first["result"]["inputRequests"].items()
        assert question == {"method": "roots/list", "params": {}}

        params = {
            "name": "wait",
            "arguments": {},
            "inputResponses": {key: {"roots": []}},
            "requestState": first["result"]["requestState"],
        }
        again = front.open_modern("tools/call", params, capabilities=ALL)
        await front.until(lambda: 'roots {"roots": []}' in front.lines)
        again.gone.set()
        await again.finished()


async def test_two_users_are_asked_apart(tmp_path: Path) -> None:
    async with fronting(tmp_path) as front:
        anns = await front.begin(capabilities=ALL)
        carls = await front.begin(capabilities=ALL, authorization=f"Bearer {CARL}")
        first = front.open_call(anns, "ask")
        second = front.open_call(carls, "ask", authorization=f"Bearer {CARL}")
        (anns_question,), (carls_question,) = await first.until_messages(1), await second.until_messages(1)

        answer = {"jsonrpc": "2.0", "id": carls_question["id"], "result": {"action": "accept"}}
        await front.send(answer, session=carls, authorization=f"Bearer {CARL}")
        await front.respond(anns, anns_question, {"action": "decline"})

        assert json.loads(text_of((await first.ended()).messages[-1])) == {"action": "decline"}
        assert json.loads(text_of((await second.ended()).messages[-1])) == {"action": "accept"}


async def test_a_call_whose_client_does_not_come_back_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_calls, "HELD_SECONDS", 0.05)
    monkeypatch.setattr(held_calls, "GATHERING_SECONDS", 0)
    async with fronting(tmp_path) as front:
        first = await front.modern_call("ask", capabilities=ALL)
        await front.until(lambda: bool(front.sent("notifications/cancelled")))

        (key,) = first["result"]["inputRequests"]
        assert (await ask_again(front, first, {key: {}}, "ask"))["error"]["code"] == -32602


async def test_one_user_holds_so_many_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_calls, "MOST_HELD_OF_USER", 1)
    async with fronting(tmp_path) as front:
        await front.modern_call("ask", capabilities=ALL)
        refused = await front.modern_call("ask", capabilities=ALL)
        carls = await front.modern_call("ask", capabilities=ALL, authorization=f"Bearer {CARL}")

        assert refused["error"]["message"] == "Too many calls wait for answers of their clients."
        assert carls["result"]["resultType"] == "input_required"
