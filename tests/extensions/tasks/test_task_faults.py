"""Tasks when a process stood still, when the store fails in the middle, and when things come at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from gatepost import Context, Server, TaskOptions
from gatepost.protocol.errors import InvalidParams
from gatepost.server.calls.exchange import Exchange
from gatepost.stores.conformance.behaviour.api_keys import api_key
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.tasks import Task, TaskEnding, TaskStatus
from gatepost.stores.contract.wakeups import Wakeup, WakeupKind
from gatepost.telemetry.catalogue import TASKS_BEGUN, TASKS_ENDED, TASKS_RUNNING, Metric
from gatepost.tokens.opaque import fingerprint
from tests.extensions.tasks.task_world import ADA, LONGEST, World, text_of, until


class Sure(BaseModel):
    confirm: bool


LOST = TaskEnding(TaskStatus.FAILED, b'{"code":-32603,"message":"lost"}', "lost")


class Tools:
    """What the processes serve; notes its runs."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.left: list[str] = []
        self.gate = asyncio.Event()

    def serve(self) -> Server:
        server = Server("tasks")

        @server.tool(task=True)
        async def wait() -> str:
            await self._wait()
            return "waited"

        @server.tool(task=True)
        async def tell(ctx: Context) -> str:
            await self._wait()
            await ctx.progress(1, 2)
            self.gate.clear()
            await self._wait()
            return "told"

        @server.tool(task=TaskOptions(resumable=True))
        async def again() -> str:
            self.runs.append("again")
            await self._wait()
            return "again"

        @server.tool(task=TaskOptions(resumable=True))
        async def once(ctx: Context) -> int:
            await self._wait()
            number: int = await ctx.once("number", lambda: 1)
            self.runs.append("went on")
            return number

        @server.tool(task=TaskOptions(after=0.001))
        async def asks(ctx: Context) -> str:
            await self._wait()
            return (await ctx.elicit("Sure?", Sure)).action

        return server

    async def _wait(self) -> None:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.left.append("cancelled")
            raise


@pytest.fixture
def tools() -> Tools:
    return Tools()


@pytest.fixture
def world(tools: Tools) -> World:
    return World(tools.serve)


@contextmanager
def failing_once(store: Any, operation: str, *, is_done: bool = False) -> Iterator[list[tuple[Any, ...]]]:
    """Have an operation raise StoreUnavailable the first time, done or not; gives what it was called with."""
    calls: list[tuple[Any, ...]] = []
    whole = getattr(store, operation)

    async def fail_once(*given: Any, **named: Any) -> Any:
        calls.append(given)
        if len(calls) > 1:
            return await whole(*given, **named)
        if is_done:
            await whole(*given, **named)
        raise StoreUnavailable("the connection is gone")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(store, operation, fail_once)
        yield calls


async def left_behind(world: World, tool: str) -> str:
    """Return the id of a task whose process has died."""
    async with world.process() as process:
        task_id = await process.begin(tool)
        await until(lambda: bool(process.runs.running))
    world.time += 60
    return task_id


@pytest.mark.parametrize("tool", ["wait", "again"])
async def test_a_process_that_stood_still_stops_what_another_one_has_adopted_meanwhile(
    world: World, tools: Tools, tool: str
) -> None:
    async with world.process() as paused:
        task_id = await paused.begin(tool)
        world.time += 60
        async with world.process() as other:
            if tool == "wait":
                assert (await other.until(task_id))["status"] == "failed"
            else:
                await until(lambda: tools.runs == ["again", "again"])
            paused.runs.woken.set()
            await until(lambda: tools.left == ["cancelled"])
            await until(lambda: not paused.runs.running)
            tools.gate.set()
            assert (await other.until(task_id))["status"] == ("failed" if tool == "wait" else "completed")


async def test_what_nobody_has_adopted_goes_on_after_its_process_stood_still(world: World, tools: Tools) -> None:
    async with world.process() as process:
        task_id = await process.begin("wait")
        world.time += 60
        process.runs.woken.set()
        await until(lambda: not process.runs.is_overdue)
        tools.gate.set()
        assert text_of(await process.until(task_id)) == "waited"


@pytest.mark.parametrize("tool", ["tell", "once"])
async def test_a_run_that_is_anothers_by_now_notices_with_its_next_word_to_the_store(
    world: World, tools: Tools, tool: str
) -> None:
    async with world.process() as paused:
        task_id = await paused.begin(tool)
        await world.store.tasks.adopt_tasks("/mcp", LOST, runner="another", now=world.time + 60, limit=9, most_runs=3)
        tools.gate.set()
        await until(lambda: not paused.runs.running)
        assert tools.left == (["cancelled"] if tool == "tell" else [])
        assert tools.runs == []
        assert (await paused.get(task_id))["status"] in {"failed", "working"}


async def test_a_result_is_kept_that_came_while_the_store_was_away_unless_another_one_has_the_task(
    world: World, tools: Tools
) -> None:
    async with world.process() as process:
        runs = process.runs

        async def take_another_name(_seconds: float) -> None:
            runs.alive_at -= 60
            runs.stop_what_may_be_anothers(1)

        runs.pause = take_another_name
        with failing_once(world.store.tasks, "finish_task"):
            task_id, before = await process.begin("wait"), runs.runner
            tools.gate.set()
            assert text_of(await process.until(task_id)) == "waited"
        assert runs.runner != before


async def test_a_task_that_may_be_kept_though_its_caller_was_told_otherwise_ends(world: World, tools: Tools) -> None:
    async with world.process() as process:
        with failing_once(world.store.tasks, "begin_task", is_done=True) as calls:
            with pytest.raises(StoreUnavailable):
                await process.call("again")
            task: Task = calls[0][0]
            assert task.task_fingerprint not in process.runs.running
            while process.runs._background:
                await asyncio.wait(process.runs._background, timeout=LONGEST)
            view = await world.store.tasks.find_task(task.task_fingerprint, owner=task.owner, now=world.time)
            assert view is not None
            assert view.task.status.is_over
        assert tools.runs == []
        assert not process.runs._of_person


@pytest.mark.parametrize(("operation", "is_done"), [("find_values", False), ("adopt_tasks", True)])
async def test_what_was_adopted_is_run_though_the_store_failed_in_the_middle(
    world: World, tools: Tools, operation: str, is_done: bool
) -> None:
    task_id = await left_behind(world, "again")
    with failing_once(world.store.tasks, operation, is_done=is_done) as calls:
        async with world.process() as process:
            await until(lambda: len(calls) == 1)
            assert tools.runs == ["again"]
            process.runs.woken.set()
            await until(lambda: tools.runs == ["again", "again"])
            tools.gate.set()
            assert text_of(await process.until(task_id)) == "again"


async def test_a_fault_nobody_expects_does_not_end_the_upkeep(
    world: World, tools: Tools, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.process() as process, world.process() as other:
        task_id = await process.begin("wait")
        list_news, failures = world.store.tasks.list_news, iter([True])

        async def fail_once(*given: Any, **named: Any) -> Any:
            if next(failures, False):
                raise RuntimeError("a fault")
            return await list_news(*given, **named)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(world.store.tasks, "list_news", fail_once)
            process.runs.woken.set()
            await until(lambda: "a fault" in caplog.text)
            await other.ask("tasks/cancel", taskId=task_id)
            process.runs.woken.set()
            await until(lambda: tools.left == ["cancelled"])


async def test_what_a_call_asks_while_it_becomes_a_task_is_asked_by_the_task(world: World, tools: Tools) -> None:
    async with world.process() as process:
        begin = world.store.tasks.begin_task

        async def slowly(*given: Any, **named: Any) -> bool:
            tools.gate.set()
            for _ in range(20):
                await asyncio.sleep(0)
            return await begin(*given, **named)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(world.store.tasks, "begin_task", slowly)
            task_id = await process.begin("asks")
        task = await process.until(task_id, "input_required", "completed", "failed")
        assert task["status"] == "input_required"
        responses = {key: {"action": "accept", "content": {"confirm": True}} for key in task["inputRequests"]}
        await process.ask("tasks/update", taskId=task_id, inputResponses=responses)
        assert text_of(await process.until(task_id)) == "accept"


async def test_a_storm_of_answers_and_cancellations_that_count_for_nothing_writes_nothing(
    world: World, tools: Tools
) -> None:
    async with world.process() as process:
        task_id = await process.begin("wait")
        tools.gate.set()
        await process.until(task_id)
        writes: list[str] = []

        async def note(*_given: Any, **_named: Any) -> bool:
            writes.append("write")
            return True

        with pytest.MonkeyPatch.context() as patched:
            for operation in ("answer", "cancel_task"):
                patched.setattr(world.store.tasks, operation, note)
            for _ in range(5):
                await process.ask(
                    "tasks/update", taskId=task_id, inputResponses={"elicitation-1": {"action": "accept"}}
                )
                await process.ask("tasks/cancel", taskId=task_id)
        assert writes == []
        assert text_of(await process.get(task_id)) == "waited"


async def test_when_an_api_key_is_revoked_its_tasks_end_and_no_others(world: World) -> None:
    await world.store.api_keys.add_key(api_key(1))
    async with world.process() as process:
        of_key = replace(ADA, subject="key_1", client_id="key_1")
        from_elsewhere = replace(ADA, client_id="key_of_another_issuer")
        process.principal = from_elsewhere
        other = await process.begin("wait")
        process.principal = of_key
        task_id = await process.begin("wait")
        assert await process.runs.find_for_watch(task_id, Exchange(of_key)) is not None
        await world.store.api_keys.revoke_key("key_1", now=world.time)
        (ear,) = process.host.ears
        ear(Wakeup(WakeupKind.ACCESS))
        assert (await process.until(task_id))["status"] == "cancelled"
        assert await process.runs.find_for_watch(task_id, Exchange(of_key)) is None
        process.principal = from_elsewhere
        assert (await process.get(other))["status"] == "working"


async def test_nobody_runs_again_what_was_begun_with_a_key_that_was_revoked(world: World, tools: Tools) -> None:
    await world.store.api_keys.add_key(api_key(1))
    key = replace(ADA, subject="key_1", client_id="key_1")
    async with world.process() as process:
        process.principal = key
        task_id = await process.begin("again")
        await until(lambda: tools.runs == ["again"])
    await world.store.api_keys.revoke_key("key_1", now=world.time)
    world.time += 60
    async with world.process() as process:
        process.principal = key
        assert (await process.until(task_id))["status"] == "cancelled"
    assert tools.runs == ["again"]


async def test_the_result_of_a_tool_that_there_is_no_more_is_nobodys_whose_scopes_count(
    world: World, tools: Tools
) -> None:
    async with world.process() as process:
        task_id = await process.begin("wait")
        tools.gate.set()
        await process.until(task_id)
        process.target.registry.tools.remove("wait")
        for method in ("tasks/get", "tasks/update", "tasks/cancel"):
            with pytest.raises(InvalidParams):
                await process.ask(method, taskId=task_id, inputResponses={})
        told = await process.listen(task_id)
        assert not process.runs.watches.keys
        assert told.messages[0]["params"]["notifications"] == {}


async def test_a_task_that_is_over_is_looked_for_no_more_however_long_somebody_listens(
    world: World, tools: Tools
) -> None:
    async with world.process() as process:
        task_id = await process.begin("wait")
        told = await process.listen(task_id)
        assert process.runs.watches.keys == (fingerprint(task_id),)
        tools.gate.set()
        async with asyncio.timeout(LONGEST):
            while told.messages[-1].get("params", {}).get("status") != "completed":
                told.arrived.clear()
                await told.arrived.wait()
        assert not process.runs.watches.keys


class Counted:
    """A `Telemetry` that keeps what it is told."""

    def __init__(self) -> None:
        self.counts: list[tuple[Metric, dict[str, str]]] = []
        self.figures: dict[Metric, Any] = {}

    def count(self, metric: Metric, labels: Mapping[str, str]) -> None:
        self.counts.append((metric, dict(labels)))

    def observe(self, metric: Metric, figures: Any) -> None:
        self.figures[metric] = figures

    @property
    def running(self) -> int:
        return sum(int(value) for _, value in self.figures[TASKS_RUNNING]())

    def ended(self) -> list[str]:
        return [labels["ending"] for metric, labels in self.counts if metric is TASKS_ENDED]


async def test_tasks_are_counted_as_they_begin_run_and_end(world: World, tools: Tools) -> None:
    counted, of_other = Counted(), Counted()
    async with world.process(telemetry=counted) as process:
        done, cancelled = await process.begin("wait"), await process.begin("wait")
        assert counted.counts == [(TASKS_BEGUN, {"gen_ai.tool.name": "wait"})] * 2
        assert counted.running == 2
        await process.ask("tasks/cancel", taskId=cancelled)
        await until(lambda: counted.ended() == ["cancelled"])
        tools.gate.set()
        await process.until(done)
        await until(lambda: counted.ended() == ["cancelled", "completed"])
        assert counted.counts[-1] == (TASKS_ENDED, {"gen_ai.tool.name": "wait", "ending": "completed"})
        assert counted.running == 0
        tools.gate.clear()
        await process.begin("wait")
        world.time += 60
        async with world.process(telemetry=of_other):
            await until(lambda: of_other.ended() == ["failed"])
