"""Calls that become tasks: which ones do, what their clients find, and how they end (ext-tasks)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gatepost import Context, InsufficientScope, Server, TaskOptions, ToolError, continue_as_task
from gatepost.extensions.tasks.extension import Tasks
from gatepost.extensions.tasks.limits import TaskLimits
from gatepost.extensions.tasks.settings import TASKS
from gatepost.extensions.tasks.wire import TooManyTasks
from gatepost.protocol.errors import InvalidParams, MethodNotFound, MissingRequiredClientCapability
from gatepost.protocol.versions import REVISION_2025_11_25
from gatepost.server.dispatch import ServerTarget
from gatepost.server.errors import ToolDefinitionError
from tests.extensions.tasks.task_world import ADA, LONGEST, Process, World, text_of, until


class Gate:
    """Lets tools go on."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.entered = 0
        self.left: list[str] = []

    async def pass_through(self, name: str = "") -> None:
        self.entered += 1
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.left.append(f"{name} cancelled")
            raise
        self.left.append(name)


def a_server(gate: Gate) -> Server:
    server = Server("tasks")

    @server.tool(task=True)
    async def wait(name: str = "x") -> str:
        await gate.pass_through(name)
        return f"waited for {name}"

    @server.tool
    async def greet(name: str) -> str:
        return f"Hello, {name}!"

    @server.tool(task=TaskOptions(required=True, ttl=60, poll_interval=0.25))
    async def required() -> str:
        raise ToolError("it did not work")

    @server.tool(task=True)
    async def asks(ctx: Context) -> str:
        await ctx.roots()
        return "never"

    @server.tool(task=True)
    async def lacks() -> str:
        raise InsufficientScope("b")

    @server.tool(task=True)
    async def large() -> str:
        return "x" * 5_000_000

    @server.tool(task=True)
    async def steps(ctx: Context) -> str:
        await ctx.progress(1, 4, "mixing")
        await gate.pass_through()
        return "done"

    @server.tool(task=TaskOptions(after=None))
    async def later(ctx: Context) -> list[bool]:
        return [await continue_as_task(ctx), await continue_as_task(ctx)]

    @server.tool(task=TaskOptions(after=3600))
    async def seldom() -> str:
        return "quick"

    return server


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def process(gate: Gate) -> AsyncIterator[Process]:
    async with World(a_server(gate)).process() as process:
        yield process


async def test_a_call_is_answered_with_a_task_that_is_found_at_once_and_has_its_result_later(
    process: Process, gate: Gate
) -> None:
    created = await process.call("wait", name="ada")
    assert created["resultType"] == "task"
    assert (created["status"], created["ttlMs"], created["pollIntervalMs"]) == ("working", 3_600_000, 1000)
    assert created["createdAt"] == created["lastUpdatedAt"] == "2027-01-15T08:00:00Z"
    assert not {"result", "error", "inputRequests", "requestState", "task", "ttl"} & created.keys()

    found = await process.get(created["taskId"])
    assert (found["resultType"], found["status"], found["taskId"]) == ("complete", "working", created["taskId"])
    gate.open.set()
    done = await process.until(created["taskId"])
    assert (done["status"], text_of(done), done["result"]["isError"]) == ("completed", "waited for ada", False)
    assert "io.modelcontextprotocol/related-task" not in done["result"].get("_meta", {})


async def test_capabilities_name_the_extension_and_nothing_of_earlier_tasks(process: Process) -> None:
    capabilities = (await process.ask("server/discover"))["capabilities"]
    assert capabilities["extensions"] == {TASKS: {}}
    assert "tasks" not in capabilities


async def test_a_client_that_does_not_declare_tasks_gets_an_ordinary_result(process: Process, gate: Gate) -> None:
    process.capabilities = {"tasks": {}}
    gate.open.set()
    assert (await process.call("wait"))["resultType"] == "complete"
    assert "taskId" not in await process.call("wait")


@pytest.mark.parametrize("is_modern", [True, False])
async def test_a_tool_that_has_to_be_a_task_is_refused_to_who_does_not_know_tasks(
    process: Process, is_modern: bool
) -> None:
    process.capabilities = {} if is_modern else process.capabilities
    revision = {} if is_modern else {"revision": REVISION_2025_11_25}
    with pytest.raises(MissingRequiredClientCapability) as refused:
        await process.ask("tools/call", name="required", arguments={}, **revision)
    assert refused.value.data == {"requiredCapabilities": {"extensions": {TASKS: {}}}}


async def test_in_the_handshake_era_there_are_no_tasks(process: Process, gate: Gate) -> None:
    gate.open.set()
    result = await process.ask("tools/call", name="wait", arguments={}, revision=REVISION_2025_11_25)
    assert result["content"][0]["text"] == "waited for x"
    with pytest.raises(MethodNotFound):
        await process.ask("tasks/get", taskId="x", revision=REVISION_2025_11_25)


async def test_a_hint_of_earlier_revisions_makes_no_task_of_another_tool(process: Process) -> None:
    result = await process.ask("tools/call", name="greet", arguments={"name": "x"}, task={"ttl": 60_000})
    assert (result["resultType"], result["content"][0]["text"]) == ("complete", "Hello, x!")


@pytest.mark.parametrize("method", ["tasks/result", "tasks/list"])
async def test_methods_of_earlier_tasks_are_none(process: Process, method: str) -> None:
    with pytest.raises(MethodNotFound):
        await process.ask(method, taskId="x")


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_who_does_not_declare_tasks_is_told_what_is_missing(process: Process, method: str) -> None:
    process.capabilities = {}
    with pytest.raises(MissingRequiredClientCapability):
        await process.ask(method, taskId="x", inputResponses={})


async def test_what_a_tool_raises_is_a_result_and_what_the_protocol_raises_an_error(process: Process) -> None:
    failed = await process.until(await process.begin("required"))
    assert (failed["status"], failed["result"]["isError"], text_of(failed)) == ("completed", True, "it did not work")
    assert (failed["ttlMs"], failed["pollIntervalMs"]) == (300_000, 250)

    for tool, code, data in (
        ("asks", -32021, {"requiredCapabilities": {"roots": {}}}),
        ("lacks", -32600, {"error": "insufficient_scope", "scope": "b"}),
    ):
        task = await process.until(await process.begin(tool))
        assert (task["status"], task["error"]["code"], task["error"]["data"]) == ("failed", code, data)
        assert task["statusMessage"] == task["error"]["message"]
        assert "result" not in task


async def test_a_result_that_is_too_large_to_be_kept_fails_the_task(process: Process) -> None:
    task = await process.until(await process.begin("large"))
    assert (task["status"], task["error"]["code"]) == ("failed", -32603)


async def test_wrong_arguments_unknown_tools_and_missing_scopes_make_no_task(gate: Gate) -> None:
    server = a_server(gate)

    @server.tool(task=True, scopes=["b"])
    async def guarded() -> str:
        return "no"

    async with World(server).process() as process:
        result = await process.call("wait", name=7, other=1)
        assert (result["resultType"], result["isError"]) == ("complete", True)
        with pytest.raises(InvalidParams):
            await process.call("unknown")
        with pytest.raises(InsufficientScope):
            await process.call("guarded")
        assert process.runs.running == {}


async def test_a_task_is_cancelled_and_its_code_with_it(process: Process, gate: Gate) -> None:
    task_id = await process.begin("wait", name="ada")
    await until(lambda: gate.entered == 1)
    ack = await process.ask("tasks/cancel", taskId=task_id)
    assert ack.keys() == {"resultType", "_meta"}
    assert (await process.get(task_id))["status"] == "cancelled"
    await until(lambda: gate.left == ["ada cancelled"])
    await until(lambda: process.runs.running == {})
    assert (await process.ask("tasks/cancel", taskId=task_id))["resultType"] == "complete"


async def test_to_cancel_what_is_over_changes_nothing(process: Process, gate: Gate) -> None:
    gate.open.set()
    task_id = await process.begin("wait")
    await process.until(task_id)
    assert (await process.ask("tasks/cancel", taskId=task_id))["resultType"] == "complete"
    assert (await process.get(task_id))["status"] == "completed"


@pytest.mark.parametrize("task_id", ["", "x", "gp_tk_" + "A" * 43])
@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
async def test_an_unknown_task_is_an_invalid_parameter(process: Process, method: str, task_id: str) -> None:
    with pytest.raises(InvalidParams, match="no such task"):
        await process.ask(method, taskId=task_id, inputResponses={})


@pytest.mark.parametrize("method", ["tasks/get", "tasks/update", "tasks/cancel"])
@pytest.mark.parametrize("params", [{}, {"taskId": 7}, {"taskId": None}])
async def test_the_id_of_a_task_is_a_text(process: Process, method: str, params: dict[str, Any]) -> None:
    with pytest.raises(InvalidParams):
        await process.ask(method, inputResponses={}, **params)


async def test_a_task_that_takes_longer_than_its_time_to_live_has_failed(process: Process, gate: Gate) -> None:
    task_id = await process.begin("wait")
    await until(lambda: gate.entered == 1)
    (run,) = process.runs.running.values()
    assert run.timer is not None
    assert 3590 < run.timer.when() - asyncio.get_running_loop().time() < 3610
    run.timer._callback(*run.timer._args)  # type: ignore[attr-defined]  # rather than to wait for an hour
    task = await process.until(task_id)
    assert (task["status"], task["error"]["code"]) == ("failed", -32603)


async def test_how_far_a_task_is_stands_in_its_status(process: Process, gate: Gate) -> None:
    task_id = await process.begin("steps")
    task: dict[str, Any] = {}
    async with asyncio.timeout(LONGEST):
        while "statusMessage" not in task:
            await asyncio.sleep(0)
            task = await process.get(task_id)
    assert (task["status"], task["statusMessage"]) == ("working", "mixing (1/4)")
    gate.open.set()
    assert "statusMessage" not in await process.until(task_id)


async def test_a_call_becomes_a_task_when_its_function_says_so(process: Process) -> None:
    task = await process.until(await process.begin("later"))
    assert task["result"]["structuredContent"] == [True, True]
    process.capabilities = {}
    assert (await process.call("later"))["structuredContent"] == [False, False]


async def test_a_call_that_ends_before_it_would_be_a_task_is_none(process: Process) -> None:
    result = await process.call("seldom")
    assert (result["resultType"], result["content"][0]["text"]) == ("complete", "quick")


async def test_a_slow_call_of_any_tool_becomes_a_task_where_the_operator_says_so(gate: Gate) -> None:
    server = Server("slow")
    server.use(Tasks())

    @server.tool
    async def slow() -> str:
        await gate.pass_through()
        return "at last"

    async with World(server).process(settings={TASKS: {"after": 0.001}}) as process:
        task_id = await process.begin("slow")
        gate.open.set()
        assert text_of(await process.until(task_id)) == "at last"


async def test_where_no_more_tasks_may_begin_a_slow_call_goes_on_as_an_ordinary_one() -> None:
    server = Server("slow")
    server.use(Tasks(after=0.001, limits=TaskLimits(running=0)))

    @server.tool
    async def slow() -> str:
        await asyncio.sleep(0.01)
        return "at last"

    async with World(server).process() as process:
        assert (await process.call("slow"))["content"][0]["text"] == "at last"


async def test_one_person_has_only_so_many_tasks_and_others_are_not_held_up(gate: Gate) -> None:
    server = a_server(gate)
    server.use(Tasks())
    tasks = next(each for each in server.registry.extensions if isinstance(each, Tasks))
    tasks._limits = TaskLimits(running_of_person=3, of_person=4)
    async with World(server).process() as process:
        for _ in range(3):
            await process.begin("wait")
        with pytest.raises(TooManyTasks, match="run at once") as refused:
            await process.begin("wait")
        assert refused.value.status(modern=True) == 429
        process.principal = None
        await process.begin("wait")
        process.principal = ADA
        gate.open.set()
        await until(lambda: process.runs.running == {})
        await process.begin("wait")
        with pytest.raises(TooManyTasks, match="are kept"):
            await process.begin("wait")


async def test_when_the_server_stops_what_cannot_be_run_again_has_failed_with_a_reason(gate: Gate) -> None:
    world = World(a_server(gate))
    async with world.process() as process:
        task_id = await process.begin("wait", name="ada")
        await until(lambda: gate.entered == 1)
    assert gate.left == ["ada cancelled"]
    async with world.process() as process:
        task = await process.get(task_id)
    assert (task["status"], task["error"]["message"]) == ("failed", "The server stopped while the task ran.")


async def test_without_a_deployment_tasks_live_in_memory(gate: Gate) -> None:
    target = ServerTarget(a_server(gate))
    gate.open.set()
    async with target.lifespan():
        process = Process(target, World(target.server).host())
        process.principal = None
        assert text_of(await process.until(await process.begin("wait"))) == "waited for x"


@pytest.mark.parametrize(
    "options",
    [
        "yes",
        TaskOptions(after=-1),
        TaskOptions(ttl=0),
        TaskOptions(ttl=10**9),
        TaskOptions(poll_interval=0),
        TaskOptions(after=1, resumable=True),
    ],
)
def test_a_task_that_cannot_be_is_refused_where_it_is_declared(options: Any) -> None:
    with pytest.raises(ToolDefinitionError):
        Server("x").tool(task=options)(lambda: None)
