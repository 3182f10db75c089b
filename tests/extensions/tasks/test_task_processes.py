"""Tasks when processes die, when others are asked, and when access is taken back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from gatepost import Context, Server, TaskOptions
from gatepost.extensions.tasks import kept_requests
from gatepost.extensions.tasks.access import access_id_of
from gatepost.extensions.tasks.run import TaskExchange
from gatepost.extensions.tasks.upkeep import MOST_RUNS
from gatepost.protocol.versions import REVISION_2026_07_28
from gatepost.server.calls.exchange import Exchange
from gatepost.stores.conformance.records import grant, tokens
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.tasks import Task, TaskStatus
from gatepost.stores.contract.wakeups import Wakeup, WakeupKind
from gatepost.tokens.opaque import SecretKind, fingerprint, mint
from tests.extensions.tasks.task_world import ADA, PLACE, Process, World, text_of, until


class Sure(BaseModel):
    confirm: bool


class Tools:
    """What the processes serve; notes its runs."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.paid = 0
        self.left: list[str] = []
        self.gate = asyncio.Event()

    def serve(self) -> Server:
        server = Server("tasks")

        @server.tool(task=TaskOptions(resumable=True))
        async def pay(ctx: Context) -> str:
            self.runs.append(f"{ctx.user.subject} {sorted(ctx.scopes)}")

            def really() -> int:
                self.paid += 1
                return 7

            receipt = await ctx.once("paid", really)
            answer = await ctx.elicit("Sure?", Sure)
            return f"{receipt} {answer.action}"

        @server.tool(task=True)
        async def wait() -> str:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.left.append("cancelled")
                raise
            return "waited"

        return server


@pytest.fixture
def tools() -> Tools:
    return Tools()


@pytest.fixture
def world(tools: Tools) -> World:
    return World(tools.serve)


async def left_behind(world: World, process: Process, **changes: Any) -> str:
    """Return the id of a task whose process is gone."""
    exchange = TaskExchange(Exchange(process.principal))
    request = process.request("tools/call", name="pay", arguments={})
    task_id = mint(SecretKind.TASK, process.host.random_bytes)
    kept = kept_requests.written(
        task_id,
        request,
        REVISION_2026_07_28,
        exchange,
        key_ring=world.key_ring,
        random_bytes=process.host.random_bytes,
    )
    task = Task(
        fingerprint(task_id),
        PLACE,
        process.runs.owner_of(process.principal),
        "person",
        "pay",
        world.time,
        world.time + 600,
        1000,
        "gone",
        updated_at=world.time,
        access_id=access_id_of(process.principal),
        request=kept,
    )
    await world.store.tasks.renew_runner("gone", until=world.time)
    assert await world.store.tasks.begin_task(replace(task, **changes), most=9)
    return task_id


async def accept(process: Process, task_id: str) -> dict[str, Any]:
    task = await process.until(task_id, "input_required")
    responses = {key: {"action": "accept", "content": {"confirm": True}} for key in task["inputRequests"]}
    return await process.ask("tasks/update", taskId=task_id, inputResponses=responses)


async def test_what_can_be_run_again_is_run_by_another_process_for_the_same_caller(world: World, tools: Tools) -> None:
    async with world.process() as asked:
        task_id = await left_behind(world, asked)
        async with world.process():
            await accept(asked, task_id)
            assert text_of(await asked.until(task_id)) == "7 accept"
    assert tools.runs == ["ada ['a']"]


async def test_a_run_finds_what_the_one_before_was_answered_and_does_once_what_happens_once(
    world: World, tools: Tools
) -> None:
    async with world.process() as process:
        task_id = await process.begin("pay")
        await process.until(task_id, "input_required")
    assert len(tools.runs) == 1
    async with world.process() as process:
        await until(lambda: len(tools.runs) == 2)
        await accept(process, task_id)
        assert text_of(await process.until(task_id)) == "7 accept"
    assert tools.paid == 1


async def test_what_cannot_be_run_again_has_failed_and_says_why(world: World) -> None:
    async with world.process() as process:
        task_id = await left_behind(world, process, request=None)
        often = await left_behind(world, process, runs=MOST_RUNS)
        unknown = await left_behind(world, process, tool="gone")
        broken = await left_behind(world, process, request=b'{"version":"1"}')
        async with world.process():
            for one in (task_id, often, broken):
                task = await process.until(one)
                assert (task["status"], task["error"]["code"]) == ("failed", -32603)
                assert task["statusMessage"]
            owner = process.runs.owner_of(process.principal)
            view = await world.store.tasks.find_task(fingerprint(unknown), owner=owner, now=world.time)
            assert view is not None
            assert view.task.status is TaskStatus.FAILED


async def test_a_task_is_answered_and_cancelled_at_another_process_than_the_one_that_runs_it(
    world: World, tools: Tools
) -> None:
    async with world.process() as running, world.process() as asked:
        first = await running.begin("pay")
        await accept(asked, first)
        assert text_of(await asked.until(first)) == "7 accept"
        second = await running.begin("wait")
        await asked.ask("tasks/cancel", taskId=second)
        (ear,) = running.host.ears
        ear(Wakeup(WakeupKind.TASK, name=fingerprint(second).hex()))
        await until(lambda: tools.left == ["cancelled"])
        await until(lambda: running.runs.running == {})


async def test_a_process_that_others_take_for_dead_stops_its_tasks_and_writes_nothing_of_them(
    world: World, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.process() as process:
        task_id = await process.begin("wait")
        runs, before = process.runs, process.runs.runner

        async def fail(*_given: Any, **_named: Any) -> None:
            raise StoreUnavailable("it cannot be reached")

        with monkeypatch.context() as patched:
            patched.setattr(world.store.tasks, "renew_runner", fail)
            runs.stop_what_may_be_anothers(1)
            assert runs.running
            runs.alive_at -= 60
            runs.stop_what_may_be_anothers(1)
        await until(lambda: tools.left == ["cancelled"])
        await until(lambda: runs.running == {})
        assert runs.runner != before
        world.time += 60
        async with world.process():
            assert (await process.until(task_id))["status"] == "failed"


async def test_how_a_task_ended_is_tried_to_be_kept_again(
    world: World, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.process() as process:
        finish, failures = world.store.tasks.finish_task, iter([True, True])

        async def fail_twice(*given: Any, **named: Any) -> bool:
            if next(failures, False):
                raise StoreUnavailable("it is busy")
            return await finish(*given, **named)

        async def at_once(_seconds: float) -> None:
            await asyncio.sleep(0)

        process.runs.pause = at_once
        monkeypatch.setattr(world.store.tasks, "finish_task", fail_twice)
        task_id = await process.begin("wait")
        tools.gate.set()
        assert text_of(await process.until(task_id)) == "waited"


async def test_a_task_goes_on_when_its_token_has_expired_and_ends_when_the_access_was_taken_back(
    world: World, tools: Tools
) -> None:
    await world.store.approvals.give_grant(grant(), tokens())
    async with world.process() as process:
        process.principal = replace(ADA, grant_id="grant-1", expires_at=world.time + 60)
        lives = await process.begin("wait")
        world.time += 61
        await until(lambda: len(process.runs.running) == 1)
        await world.store.grants.revoke_grant("grant-1", reason="asked", now=world.time)
        (ear,) = process.host.ears
        ear(Wakeup(WakeupKind.ACCESS, name="grant-1"))
        await until(lambda: tools.left == ["cancelled"])
        task = await process.until(lives)
        assert (task["status"], task["statusMessage"]) == (
            "cancelled",
            "The access that the task was called with was taken back.",
        )


async def test_nobody_runs_again_what_was_begun_with_access_that_was_taken_back(world: World, tools: Tools) -> None:
    await world.store.approvals.give_grant(grant(), tokens())
    await world.store.grants.revoke_grant("grant-1", reason="asked", now=world.time)
    async with world.process() as process:
        process.principal = replace(ADA, grant_id="grant-1")
        task_id = await left_behind(world, process)
        async with world.process():
            assert (await process.until(task_id))["status"] == "cancelled"
    assert tools.runs == []


async def test_a_client_that_leaves_before_the_answer_leaves_no_task_behind(world: World, tools: Tools) -> None:
    async with world.process() as process:
        begin, asking = world.store.tasks.begin_task, asyncio.Event()

        async def slowly(*given: Any, **named: Any) -> bool:
            asking.set()
            await asyncio.sleep(0)
            return await begin(*given, **named)

        object.__setattr__(world.store.tasks, "begin_task", slowly)
        call = asyncio.create_task(process.call("wait"))
        await asking.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda: tools.left in (["cancelled"], []) and process.runs.running == {})
        assert not process.runs._of_person
