"""Context managers that are held open in a task of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from gatepost.testing.own_task import OwnTask


async def test_it_is_entered_and_left_in_one_task_whoever_asks() -> None:
    tasks: list[object] = []

    @asynccontextmanager
    async def context() -> AsyncIterator[str]:
        tasks.append(asyncio.current_task())
        async with asyncio.TaskGroup():
            yield "entered"
        tasks.append(asyncio.current_task())

    held = OwnTask(context())
    assert await asyncio.create_task(held.open()) == "entered"
    await asyncio.create_task(held.close())
    await held.close()

    assert tasks[0] is tasks[1]
    assert asyncio.current_task() not in tasks


async def test_what_entering_and_leaving_raise_is_raised() -> None:
    class Refusing(AbstractAsyncContextManager[None]):
        async def __aenter__(self) -> None:
            raise LookupError("in")

        async def __aexit__(self, *_: object) -> None:
            """Never come here."""

    @asynccontextmanager
    async def failing() -> AsyncIterator[None]:
        yield
        raise LookupError("out")

    with pytest.raises(LookupError, match="^in$"):
        await OwnTask(Refusing()).open()
    held = OwnTask(failing())
    await held.open()
    with pytest.raises(LookupError, match="^out$"):
        await held.close()


async def test_who_waits_for_it_and_is_cancelled_ends_it() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def context() -> AsyncIterator[None]:
        began.set()
        try:
            await asyncio.Event().wait()
            yield
        finally:
            ended.set()

    opening = asyncio.create_task(OwnTask(context()).open())
    await began.wait()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert ended.is_set()


async def test_what_is_cancelled_while_it_is_entered_keeps_nobody_waiting() -> None:
    @asynccontextmanager
    async def context() -> AsyncIterator[None]:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        yield

    with pytest.raises(asyncio.CancelledError):
        await OwnTask(context()).open()
