"""`taskIds` in `subscriptions/listen` (ext-tasks, "Task Status Notifications")."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gatepost import Server
from gatepost.protocol.errors import InvalidParams, MissingRequiredClientCapability
from gatepost.protocol.versions import REVISION_2026_07_28
from gatepost.server.calls.exchange import Exchange
from gatepost.stores.contract.wakeups import Wakeup, WakeupKind
from gatepost.tokens.opaque import fingerprint
from tests.extensions.tasks.task_world import ADA, Process, World

ACKNOWLEDGED = "notifications/subscriptions/acknowledged"


@pytest.fixture
def gate() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
def world(gate: asyncio.Event) -> World:
    def serve() -> Server:
        server = Server("tasks")

        @server.tool(task=True)
        async def wait() -> str:
            await gate.wait()
            return "waited"

        return server

    return World(serve)


@pytest.fixture
async def process(world: World) -> AsyncIterator[Process]:
    async with world.process() as process:
        yield process


async def test_who_listens_is_told_how_it_is_and_of_each_change_all_that_the_task_is(
    process: Process, gate: asyncio.Event
) -> None:
    task_id = await process.begin("wait")
    told = await process.listen(task_id)
    acknowledged, first = await told.until(2)
    assert (acknowledged["method"], acknowledged["params"]["notifications"]) == (ACKNOWLEDGED, {"taskIds": [task_id]})
    assert (first["method"], first["params"]["status"]) == ("notifications/tasks", "working")
    gate.set()
    last = (await told.until(3))[-1]["params"]
    found = await process.get(task_id)
    assert last == {**{name: found[name] for name in found if name != "resultType"}, "_meta": last["_meta"]}
    assert last["_meta"] == {"io.modelcontextprotocol/subscriptionId": 1}


async def test_tasks_that_are_none_or_somebody_elses_are_left_out(process: Process) -> None:
    task_id = await process.begin("wait")
    process.principal = replace(ADA, subject="bob")
    theirs = await process.begin("wait")
    told = await process.listen(task_id, "gp_tk_unknown", theirs)
    assert (await told.until(1))[0]["params"]["notifications"] == {"taskIds": [theirs]}


async def test_who_does_not_declare_tasks_is_refused(process: Process) -> None:
    process.capabilities = {}
    with pytest.raises(MissingRequiredClientCapability):
        await process.listen("x")


@pytest.mark.parametrize("ids", [[7], ["x"] * 101, "x"])
async def test_ids_are_a_list_of_texts_with_an_end(process: Process, ids: object) -> None:
    request = process.request("subscriptions/listen", notifications={"taskIds": ids})
    with pytest.raises(InvalidParams):
        await process.target.answer(request, REVISION_2026_07_28, Exchange(process.principal))


async def test_nothing_is_told_any_more_once_the_token_has_expired(
    world: World, process: Process, gate: asyncio.Event
) -> None:
    process.principal = replace(ADA, expires_at=world.time + 60)
    task_id = await process.begin("wait")
    told = await process.listen(task_id)
    await told.until(2)
    world.time += 60
    gate.set()
    process.principal = ADA
    await process.until(task_id)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(told.messages) == 2


@pytest.mark.parametrize("is_heard", [True, False])
async def test_who_listens_at_another_process_is_told_as_well(
    world: World, process: Process, gate: asyncio.Event, is_heard: bool
) -> None:
    async with world.process() as other:
        task_id = await process.begin("wait")
        told = await other.listen(task_id)
        await told.until(2)
        gate.set()
        await process.until(task_id)
        if is_heard:
            (ear,) = other.host.ears
            ear(Wakeup(WakeupKind.TASK, name=fingerprint(task_id).hex()))
        # Otherwise it looks by itself.
        assert (await told.until(3))[-1]["params"]["status"] == "completed"
