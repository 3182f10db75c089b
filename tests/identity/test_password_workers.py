from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from gatepost.identity.password_workers import PasswordWorkers, PasswordWorkersBusy, password_workers
from tests.patience import PATIENCE


class Gate:
    """Work that goes on only when it is told to."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.opened = threading.Event()
        self.begins = threading.Semaphore(0)

    def work(self, name: str) -> str:
        self.begun.append(name)
        self.begins.release()
        assert self.opened.wait(timeout=PATIENCE)
        return name

    async def has_begun(self) -> None:
        assert await asyncio.to_thread(self.begins.acquire, timeout=PATIENCE)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


async def test_beyond_the_queue_nobody_waits(gate: Gate) -> None:
    workers = PasswordWorkers(at_once=1, waiting=2)
    jobs = [asyncio.create_task(workers.run(lambda name=name: gate.work(name))) for name in ("a", "b", "c")]  # type: ignore[misc] # mypy infers no default of a lambda
    await gate.has_begun()
    with pytest.raises(PasswordWorkersBusy):
        await workers.run(lambda: gate.work("d"))

    gate.opened.set()
    assert await asyncio.gather(*jobs) == ["a", "b", "c"]
    assert await workers.run(lambda: gate.work("e")) == "e"
    assert gate.begun == ["a", "b", "c", "e"]


async def test_what_waits_for_a_caller_who_has_gone_never_begins_and_leaves_its_place(gate: Gate) -> None:
    workers = PasswordWorkers(at_once=1, waiting=1)
    running = asyncio.create_task(workers.run(lambda: gate.work("running")))
    await gate.has_begun()
    for _ in range(1000):
        gone = asyncio.create_task(workers.run(lambda: gate.work("gone")))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
    honest = asyncio.create_task(workers.run(lambda: gate.work("honest")))
    await asyncio.sleep(0)

    gate.opened.set()
    assert (await running, await honest) == ("running", "honest")
    assert gate.begun == ["running", "honest"]


async def test_what_runs_for_a_caller_who_has_gone_keeps_its_place_to_its_end(gate: Gate) -> None:
    workers = PasswordWorkers(at_once=1, waiting=0)
    gone = asyncio.create_task(workers.run(lambda: gate.work("gone")))
    await gate.has_begun()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    with pytest.raises(PasswordWorkersBusy):
        await workers.run(lambda: gate.work("next"))


async def test_work_that_fails_fails_for_its_caller_and_leaves_its_place() -> None:
    workers = PasswordWorkers(at_once=1, waiting=0)
    with pytest.raises(ZeroDivisionError):
        await workers.run(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        await workers.run(lambda: 1 // 0)


def test_there_is_one_set_of_workers_for_the_process() -> None:
    assert password_workers() is password_workers()
