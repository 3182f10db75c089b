"""Ten thousand tasks at once: each is found, one more is refused, and nothing is left of them."""

from __future__ import annotations

import asyncio

import pytest

from gatepost import Server, TaskOptions
from gatepost.extensions.tasks.limits import MOST_RUNNING
from gatepost.extensions.tasks.wire import TooManyTasks
from tests.extensions.tasks.task_world import World, text_of, until

COUNT = 10_000


async def test_ten_thousand_tasks_run_at_once_and_one_more_does_not() -> None:
    gate = asyncio.Event()
    server = Server("many")

    @server.tool(task=TaskOptions(ttl=600))
    async def wait(number: int) -> int:
        await gate.wait()
        return number

    world = World(server)
    async with world.process() as process:
        process.principal = None
        ids = [await process.begin("wait", number=number) for number in range(COUNT)]
        assert len(process.runs.running) == len(set(ids)) == COUNT == MOST_RUNNING
        with pytest.raises(TooManyTasks):
            await process.call("wait", number=COUNT)
        gate.set()
        await until(lambda: not process.runs.running)
        for number in (0, COUNT // 2, COUNT - 1):
            assert text_of(await process.get(ids[number])) == str(number)
        with pytest.raises(TooManyTasks):
            await process.call("wait", number=COUNT)
        world.time += 600
        deleted = 0
        while batch := await world.store.tasks.delete_tasks(before=world.time, limit=2_000):
            deleted += batch
        assert deleted == COUNT
        await process.begin("wait", number=COUNT)
