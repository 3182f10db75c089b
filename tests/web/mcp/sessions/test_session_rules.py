"""Sessions: what goes out on which stream, what is over, and what needs a session."""

import asyncio
import logging
from typing import Any

import pytest

from gatepost.server.calls.context import Context
from gatepost.server.changes.bus import Change
from tests.patience import PATIENCE
from tests.web.mcp.sessions.session_world import SessionWorld, call, request, text_of

FORMS: dict[str, Any] = {"elicitation": {"form": {}}}
FORM = {"type": "object", "properties": {"name": {"type": "string"}}}


@pytest.fixture
def world() -> SessionWorld:
    return SessionWorld()


async def test_nothing_more_is_sent_for_a_request_that_is_over(world: SessionWorld) -> None:
    is_late, left_behind = asyncio.Event(), []

    async def linger(ctx: Context) -> None:
        await is_late.wait()
        ctx.log.info("late")
        await ctx.progress(2)
        with pytest.raises(asyncio.CancelledError):
            await ctx.elicit("Still there?", FORM)

    async def hurry(ctx: Context) -> str:
        await ctx.progress(1)
        left_behind.append(asyncio.create_task(linger(ctx)))
        return "done"

    world.server.tool(name="hurry")(hurry)
    session = await world.begin(capabilities=FORMS)
    answer = await world.send(call("hurry", progressToken="p"), session=session)
    is_late.set()
    async with asyncio.timeout(PATIENCE):  # its question would wait for an hour
        await left_behind[0]
    resumed = await world.listen(session, last_event_id=answer.events[-1].id).ended()
    assert text_of(answer.messages[-1]) == "done"
    assert resumed.messages == []


async def test_what_a_request_says_and_what_changes_go_out_on_streams_of_their_own(world: SessionWorld) -> None:
    session = await world.begin()
    listening = world.listen(session)
    await listening.until(lambda: bool(listening.events))
    calling = world.open(call("colour", progressToken="p"), session=session)
    await calling.ended()
    steps = await world.send(call("steps", progressToken="p"), session=session)
    await world.era.listening.publish(Change("tools"))
    (told,) = await listening.until_messages(1)
    assert told["method"] == "notifications/tools/list_changed"
    assert [message.get("method") for message in steps.messages] == ["notifications/progress"] * 2 + [None]


@pytest.mark.parametrize("method", ["logging/setLevel", "resources/subscribe", "resources/unsubscribe"])
async def test_what_needs_a_session_is_400_without_one(world: SessionWorld, method: str) -> None:
    answer = await world.send(request(method, {"level": "info", "uri": "note://1"}))
    assert (answer.status, answer.body["error"]["code"]) == (400, -32600)


@pytest.mark.parametrize("token", [True, 1.5, None, ["p"], {}, "x" * 257])
async def test_a_progress_token_is_a_short_text_or_an_integer(world: SessionWorld, token: Any) -> None:
    answer = await world.send(call("steps", progressToken=token), session=await world.begin())
    assert text_of(answer.body) == "done"


async def test_a_call_that_asks_for_a_task_is_answered_at_once(world: SessionWorld) -> None:
    message = request("tools/call", {"name": "steps", "arguments": {}, "task": {"ttl": 60_000}})
    assert text_of((await world.send(message, session=await world.begin())).body) == "done"


async def test_the_reason_of_a_cancellation_is_logged(world: SessionWorld, caplog: pytest.LogCaptureFixture) -> None:
    session = await world.begin(capabilities=FORMS)
    asking = world.open(call("colour", 7), session=session)
    await asking.until_messages(1)
    cancelled = {"requestId": 7, "reason": "The user\nchanged their mind."}
    with caplog.at_level(logging.DEBUG, "gatepost.mcp"):
        await world.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled}, session=session)
        await asking.ended()
    reasons = [vars(record)["given_reason"] for record in caplog.records if "given_reason" in vars(record)]
    assert reasons == ["The user\nchanged their mind."]


async def test_a_question_waits_no_longer_than_the_tool_wants(world: SessionWorld) -> None:
    patiences: list[asyncio.Timeout] = []

    async def hurry(ctx: Context) -> str:
        try:
            async with asyncio.timeout(None) as patience:
                patiences.append(patience)
                await ctx.elicit("Quick?", FORM)
        except TimeoutError:
            return "nobody"
        return "somebody"

    world.server.tool(name="hurry")(hurry)
    asking = world.open(call("hurry"), session=await world.begin(capabilities=FORMS))
    (question,) = await asking.until_messages(1)
    patiences[0].reschedule(0)
    await asking.ended()
    _, taken_back, answer = asking.messages
    assert (taken_back["method"], taken_back["params"]) == ("notifications/cancelled", {"requestId": question["id"]})
    assert text_of(answer) == "nobody"
