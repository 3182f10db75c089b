"""Calls that ask their client, in the modern era (2026-07-28 basic/patterns/mrtr)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gatepost.protocol.errors import InvalidParams, MissingRequiredClientCapability
from gatepost.protocol.messages import Request
from gatepost.protocol.modern import CLIENT_CAPABILITIES, LOG_LEVEL
from gatepost.protocol.versions import REVISION_2025_11_25, REVISION_2026_07_28
from gatepost.resource.principal import Principal
from gatepost.server.calls.client_requests import Elicit, ListRoots, Sample
from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange
from tests.server.calls.answering_exchange import AnsweringExchange
from tests.server.calls.asking_client import Client, Colour, Name, accept, greet, several, text


async def test_a_call_that_asks_is_answered_with_the_question_and_a_state() -> None:
    result = await Client(greet).call()

    state = result.pop("requestState")
    assert type(state) is str
    assert result == {
        "resultType": "input_required",
        "inputRequests": {
            "user_name": {
                "method": "elicitation/create",
                "params": {
                    "message": "What is your name?",
                    "requestedSchema": {
                        "type": "object",
                        "properties": {"name": {"type": "string", "title": "Name"}},
                        "required": ["name"],
                    },
                },
            }
        },
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "asking", "version": "0.0.0"}},
    }


async def test_the_call_runs_again_with_the_answer() -> None:
    client = Client(greet)
    first = await client.call()

    assert text(await client.call({"user_name": accept(name="Ann")}, first["requestState"])) == "Hello, Ann!"


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_user_who_says_no_is_an_answer_too(action: str) -> None:
    client = Client(greet)
    first = await client.call()

    assert text(await client.call({"user_name": {"action": action}}, first["requestState"])) == action


async def test_an_answer_that_is_missing_is_asked_for_again() -> None:
    client = Client(greet)
    first = await client.call()

    again = await client.call({"wrong_key": accept(name="Ann")}, first["requestState"])
    assert again["resultType"] == "input_required"
    assert again["inputRequests"] == first["inputRequests"]
    assert text(await client.call({"user_name": accept(name="Ann")}, again["requestState"])) == "Hello, Ann!"


async def test_answers_that_nobody_asked_for_are_ignored() -> None:
    answers = {"user_name": accept(name="Ann"), "unknown": {"action": "accept", "content": {"a": 1}}}

    assert text(await Client(greet).call(answers)) == "Hello, Ann!"


@pytest.mark.parametrize("answers", [5, [], "x", {"user_name": 12345}, {"user_name": None}])
async def test_answers_that_are_no_objects_are_refused(answers: Any) -> None:
    with pytest.raises(InvalidParams):
        await Client(greet).call(answers)


async def test_null_in_place_of_answers_is_refused() -> None:
    with pytest.raises(InvalidParams):
        await Client(greet).call(inputResponses=None)


async def test_an_answer_that_does_not_fit_the_form_is_refused() -> None:
    client = Client(greet)
    first = await client.call()

    with pytest.raises(InvalidParams, match="does not fit: name"):
        await client.call({"user_name": accept(name=5)}, first["requestState"])


async def test_each_round_carries_the_answers_of_those_before() -> None:
    client = Client(several)
    first = await client.call()
    second = await client.call({"elicit-1": accept(name="Ann")}, first["requestState"])

    assert list(first["inputRequests"]) == ["elicit-1"]
    assert list(second["inputRequests"]) == ["elicit-2"]
    assert text(await client.call({"elicit-2": accept(colour="red")}, second["requestState"])) == "Ann likes red"


async def test_an_answer_of_an_earlier_round_cannot_be_changed_later() -> None:
    client = Client(several)
    first = await client.call()
    second = await client.call({"elicit-1": accept(name="Ann")}, first["requestState"])
    answers = {"elicit-1": accept(name="Eve"), "elicit-2": accept(colour="red")}

    assert text(await client.call(answers, second["requestState"])) == "Ann likes red"


async def test_several_questions_go_out_in_one_round() -> None:
    async def many(ctx: Context) -> str:
        answers = await ctx.request_all({"who": Elicit("Name?", Name), "words": Sample("Hi"), "where": ListRoots()})
        return f"{answers['who'].data.name} {answers['words'].text} {answers['where'][0].uri}"

    client = Client(many)
    first = await client.call()
    answers = {
        "who": accept(name="Ann"),
        "words": {"role": "assistant", "content": {"type": "text", "text": "yo"}, "model": "m"},
        "where": {"roots": [{"uri": "file:///a"}]},
    }
    partly = await client.call({"who": answers["who"]}, first["requestState"])

    assert {key: asked["method"] for key, asked in first["inputRequests"].items()} == {
        "who": "elicitation/create",
        "words": "sampling/createMessage",
        "where": "roots/list",
    }
    assert list(partly["inputRequests"]) == ["words", "where"]
    del answers["who"]
    assert text(await client.call(answers, partly["requestState"])) == "Ann yo file:///a"


@pytest.mark.parametrize("way", ["gather", "group"])
async def test_questions_asked_side_by_side_go_out_together(way: str) -> None:
    async def side_by_side(ctx: Context) -> str:
        if way == "gather":
            name, colour = await asyncio.gather(ctx.elicit("Name?", Name), ctx.elicit("Colour?", Colour))
        else:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(ctx.elicit("Name?", Name)), group.create_task(ctx.elicit("Colour?", Colour))]
            name, colour = (task.result() for task in tasks)  # type: ignore[assignment] # one of each
        return f"{name.data} {colour.data}"

    client = Client(side_by_side)
    first = await client.call()

    assert list(first["inputRequests"]) == ["elicit-1", "elicit-2"]
    answers = {"elicit-1": accept(name="Ann"), "elicit-2": accept(colour="red")}
    assert text(await client.call(answers, first["requestState"])) == "name='Ann' colour='red'"


@pytest.mark.parametrize("swallows", [True, False])
async def test_a_tool_that_catches_everything_asks_all_the_same(*, swallows: bool) -> None:
    async def careless(ctx: Context) -> str:
        try:
            await ctx.roots()
        except BaseException:  # noqa: BLE001 - what it must not be able to hide from
            if not swallows:
                raise ValueError("instead") from None
        return "done"

    client = Client(careless)

    assert (await client.call())["resultType"] == "input_required"


async def test_a_tool_in_a_thread_asks_as_well() -> None:
    def threaded(ctx: Context) -> str:
        answer = ctx.wait(ctx.elicit("Name?", Name))
        assert answer.data
        return answer.data.name

    client = Client(threaded)
    first = await client.call()

    assert text(await client.call({"elicit-1": accept(name="Ann")}, first["requestState"])) == "Ann"


async def test_what_ran_once_does_not_run_again() -> None:
    drawn: list[int] = []

    def draw() -> int:
        drawn.append(len(drawn))
        return len(drawn)

    async def lottery(ctx: Context) -> str:
        number = await ctx.once("number", draw)
        name = await ctx.elicit(f"{number} is drawn. Name?", Name)
        return f"{name.data} drew {number}"

    client = Client(lottery)
    first = await client.call()

    assert text(await client.call({"elicit-1": accept(name="Ann")}, first["requestState"])) == "name='Ann' drew 1"
    assert drawn == [0]


async def test_another_question_under_the_same_key_is_the_authors_fault(caplog: pytest.LogCaptureFixture) -> None:
    times = iter(range(9))

    async def fickle(ctx: Context) -> str:
        await ctx.elicit(f"It is {next(times)}. Name?", Name)
        return "never"

    client = Client(fickle)
    first = await client.call()
    second = await client.call({"elicit-1": accept(name="Ann")}, first["requestState"])

    assert second["isError"] is True
    assert second["content"][0]["text"].startswith("The tool failed. Incident ")
    assert "'elicit-1' is not the one that was made before" in caplog.text


async def test_a_capability_that_is_not_declared_is_named(principal: Principal) -> None:
    client = Client(greet)
    client.principal = principal
    client.capabilities = {"sampling": {}}

    with pytest.raises(MissingRequiredClientCapability) as caught:
        await client.call()
    assert caught.value.body()["data"] == {"requiredCapabilities": {"elicitation": {"form": {}}}}


async def test_log_messages_are_sent_only_at_the_level_that_the_request_asks_for() -> None:
    async def chatty(ctx: Context) -> str:
        ctx.log.info("info")
        ctx.log.warning("warning")
        await ctx.progress(1)
        return "done"

    client = Client(chatty)
    exchange = AnsweringExchange()

    async def call(**meta: Any) -> None:
        params = {"name": "chatty", "_meta": {CLIENT_CAPABILITIES: {}, **meta}}
        await client.target.answer(Request(1, "tools/call", params), REVISION_2026_07_28, exchange)

    await call()
    assert exchange.sent == []
    await call(**{LOG_LEVEL: "warning", "progressToken": 7})
    assert exchange.sent == [
        ("notifications/message", {"level": "warning", "logger": "chatty", "data": "warning"}),
        ("notifications/progress", {"progressToken": 7, "progress": 1}),
    ]


async def test_a_call_that_can_send_nothing_before_its_result_is_answered_all_the_same() -> None:
    async def chatty(ctx: Context) -> str:
        ctx.log.warning("warning")
        await ctx.progress(1)
        await ctx.close_stream()
        return "done"

    client = Client(chatty)
    client.meta = {LOG_LEVEL: "debug", "progressToken": 7}

    assert text(await client.call()) == "done"


async def test_a_cancelled_call_is_cancelled_and_asks_nothing() -> None:
    waiting = asyncio.Event()

    async def slow(ctx: Context) -> str:
        asking = asyncio.gather(ctx.roots(), return_exceptions=True)
        await asyncio.sleep(0)
        waiting.set()
        await asyncio.Event().wait()
        return f"never {asking}"

    call = asyncio.create_task(Client(slow).call())
    await waiting.wait()
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call


async def test_in_the_handshake_era_the_same_tool_asks_and_waits() -> None:
    client = Client(greet)
    exchange = AnsweringExchange({"elicitation/create": accept(name="Ann")})
    request = Request(1, "tools/call", {"name": "greet", "requestState": "ignored", "_meta": "odd"})

    result = await client.target.answer(request, REVISION_2025_11_25, exchange)
    assert result == {"content": [{"type": "text", "text": "Hello, Ann!"}], "isError": False}
    with pytest.raises(MissingRequiredClientCapability):
        await client.target.answer(request, REVISION_2025_11_25, Exchange())
