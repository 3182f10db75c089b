"""What a task asks its client, and the answers (ext-tasks, "Task Update Requests")."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from gatepost import Context, Elicit, Server, TaskOptions, continue_as_task
from gatepost.protocol.errors import InvalidParams
from tests.extensions.tasks.task_world import LONGEST, Process, World, text_of


class Name(BaseModel):
    name: str


class Sure(BaseModel):
    confirm: bool


server = Server("asking")


@server.tool(task=True)
async def confirm(ctx: Context) -> str:
    answer = await ctx.elicit("Sure?", Sure)
    return f"{answer.action} {answer.data}"


@server.tool(task=True)
async def twice(ctx: Context) -> str:
    first = await ctx.elicit("Who?", Name)
    second = await ctx.elicit("Who?", Name)
    return f"{first.data and first.data.name} {second.data and second.data.name}"


@server.tool(task=True)
async def both(ctx: Context) -> str:
    answers = await ctx.request_all({"one": Elicit("One?", Name), "two": Elicit("Two?", Name)})
    return " ".join(answer.data.name for answer in answers.values())


@server.tool(task=True)
async def impatient(ctx: Context) -> str:
    try:
        await asyncio.wait_for(ctx.elicit("Quick?", Sure), 0.001)
    except TimeoutError:
        return "nobody answered"
    return "answered"


@server.tool(task=TaskOptions(after=None, required=True))
async def first_then_task(ctx: Context) -> str:
    asked = await ctx.elicit("Who?", Name)
    assert asked.data is not None
    await continue_as_task(ctx)
    later = await ctx.elicit("Sure?", Sure)
    return f"{asked.data.name} {later.action}"


@server.tool(task=True)
def plain(ctx: Context) -> str:
    return ctx.wait(ctx.elicit("Sure?", Sure)).action


def accepted(**content: Any) -> dict[str, Any]:
    return {"action": "accept", "content": content}


async def asked(process: Process, task_id: str, count: int = 1) -> dict[str, Any]:
    """Return what a task asks, once it asks so much."""
    async with asyncio.timeout(LONGEST):
        while True:
            found: dict[str, Any] = (await process.get(task_id)).get("inputRequests", {})
            if len(found) >= count:
                return found
            await asyncio.sleep(0)


async def answer(process: Process, task_id: str, **responses: Any) -> dict[str, Any]:
    return await process.ask("tasks/update", taskId=task_id, inputResponses=responses)


@pytest.fixture
async def process() -> Any:
    async with World(server).process() as process:
        yield process


async def test_a_task_that_asks_says_what_and_goes_on_with_the_answer(process: Process) -> None:
    task_id = await process.begin("confirm")
    task = await process.until(task_id, "input_required")
    ((key, request),) = task["inputRequests"].items()
    assert request["method"] == "elicitation/create"
    assert request["params"]["message"] == "Sure?"
    assert (await process.get(task_id))["inputRequests"] == task["inputRequests"]

    ack = await answer(process, task_id, **{key: accepted(confirm=True)})
    assert ack.keys() == {"resultType", "_meta"}
    assert text_of(await process.until(task_id)) == "accept confirm=True"


async def test_a_plain_function_asks_from_its_thread(process: Process) -> None:
    task_id = await process.begin("plain")
    (key,) = await asked(process, task_id)
    await answer(process, task_id, **{key: {"action": "decline"}})
    assert text_of(await process.until(task_id)) == "decline"


async def test_answers_may_come_one_by_one_and_what_is_answered_is_asked_no_more(process: Process) -> None:
    task_id = await process.begin("both")
    one, two = await asked(process, task_id, 2)
    await answer(process, task_id, **{one: accepted(name="ada")})
    task = await process.get(task_id)
    assert (task["status"], list(task["inputRequests"])) == ("input_required", [two])
    await answer(process, task_id, **{two: accepted(name="bob")})
    assert text_of(await process.until(task_id)) == "ada bob"


async def test_the_keys_of_a_task_are_never_used_again(process: Process) -> None:
    task_id = await process.begin("twice")
    (first,) = await asked(process, task_id)
    await answer(process, task_id, **{first: accepted(name="ada")})
    async with asyncio.timeout(LONGEST):
        second = first
        while second == first:
            (second,) = await asked(process, task_id)
    # An answer that comes again changes nothing.
    await answer(process, task_id, **{first: accepted(name="eve")})
    await answer(process, task_id, **{second: accepted(name="bob"), first: accepted(name="eve")})
    assert text_of(await process.until(task_id)) == "ada bob"


async def test_answers_to_what_nobody_asked_are_ignored(process: Process) -> None:
    task_id = await process.begin("confirm")
    await asked(process, task_id)
    assert (await answer(process, task_id, unknown={"ignored": True}))["resultType"] == "complete"
    assert (await process.get(task_id))["status"] == "input_required"


@pytest.mark.parametrize(
    "responses", [{}, {"inputResponses": None}, {"inputResponses": {"a": "b"}}, {"inputResponses": {}}]
)
async def test_an_update_has_responses(process: Process, responses: dict[str, Any]) -> None:
    task_id = await process.begin("confirm")
    if responses == {"inputResponses": {}}:
        await process.ask("tasks/update", taskId=task_id, **responses)
        return
    with pytest.raises(InvalidParams):
        await process.ask("tasks/update", taskId=task_id, **responses)


async def test_an_answer_that_does_not_fit_fails_the_task(process: Process) -> None:
    task_id = await process.begin("confirm")
    (key,) = await asked(process, task_id)
    await answer(process, task_id, **{key: accepted(other=1)})
    task = await process.until(task_id)
    assert (task["status"], task["error"]["code"]) == ("failed", -32602)


async def test_code_that_waits_no_longer_goes_on_and_its_question_is_open_no_more(process: Process) -> None:
    task = await process.until(await process.begin("impatient"))
    assert text_of(task) == "nobody answered"


async def test_to_cancel_a_task_that_asks_ends_it(process: Process) -> None:
    task_id = await process.begin("confirm")
    await asked(process, task_id)
    await process.ask("tasks/cancel", taskId=task_id)
    task = await process.get(task_id)
    assert task["status"] == "cancelled"
    assert "inputRequests" not in task


async def test_what_is_asked_before_a_call_is_a_task_is_asked_in_the_call_itself(process: Process) -> None:
    first = await process.call("first_then_task")
    assert (first["resultType"], "taskId" in first) == ("input_required", False)
    (key,) = first["inputRequests"]
    created = await process.ask(
        "tools/call",
        name="first_then_task",
        arguments={},
        inputResponses={key: accepted(name="Alice")},
        requestState=first["requestState"],
    )
    assert created["resultType"] == "task"
    assert not {"requestState", "inputRequests"} & created.keys()
    (key,) = await asked(process, created["taskId"])
    await answer(process, created["taskId"], **{key: {"action": "decline"}})
    assert text_of(await process.until(created["taskId"])) == "Alice decline"


async def test_a_client_is_asked_nothing_that_it_did_not_declare(process: Process) -> None:
    process.capabilities = {"extensions": process.capabilities["extensions"]}
    task = await process.until(await process.begin("confirm"))
    assert (task["status"], task["error"]["code"]) == ("failed", -32021)
