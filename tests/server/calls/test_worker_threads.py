"""Plain functions in threads: what becomes of one whose request is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError as CancelledWait
from typing import Any

import pytest
from anyio import to_thread

from gatepost.server.calls.worker_threads import run_in_thread, wait_in_thread
from tests.patience import PATIENCE


class Blocking:
    """A function that blocks its thread until it is told to go on, and then returns or raises."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.loop = asyncio.get_running_loop()
        self.started = asyncio.Event()
        self.go_on = threading.Event()
        self.ended = asyncio.Event()

    def __call__(self) -> str:
        self.loop.call_soon_threadsafe(self.started.set)
        assert self.go_on.wait(PATIENCE)
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.ended.set)
        if self.error is not None:
            raise self.error
        return "done"


class Failures(list[BaseException]):
    """What was raised too late."""

    def __init__(self) -> None:
        super().__init__()
        self.came = asyncio.Event()

    def __call__(self, error: BaseException) -> None:
        self.append(error)
        self.came.set()


def never(error: BaseException) -> None:
    """Take a failure that there must not be."""
    raise AssertionError from error


async def cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel a task and see it end so."""
    task.cancel()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(asyncio.CancelledError):
            await task


def threads_in_use() -> int:
    return to_thread.current_default_thread_limiter().borrowed_tokens


async def until_no_thread_is_in_use() -> None:
    async with asyncio.timeout(PATIENCE):
        while threads_in_use():  # noqa: ASYNC110 - the limiter tells nobody
            await asyncio.sleep(0)


@pytest.fixture
def one_thread() -> Callable[[], None]:
    """Have one thread only."""

    def limit() -> None:
        to_thread.current_default_thread_limiter().total_tokens = 1

    return limit


async def test_it_returns_what_the_function_returns_and_raises_what_it_raises() -> None:
    def fail() -> None:
        raise LookupError

    assert await run_in_thread(lambda: threading.current_thread() is threading.main_thread(), never) is False
    with pytest.raises(LookupError):
        await run_in_thread(fail, never)
    assert threads_in_use() == 0


async def test_a_cancelled_caller_ends_at_once_and_the_thread_counts_until_it_ends() -> None:
    function = Blocking()
    task = asyncio.create_task(run_in_thread(function, never))
    await function.started.wait()

    await cancelled(task)

    assert threads_in_use() == 1
    function.go_on.set()
    await until_no_thread_is_in_use()


async def test_requests_that_come_and_are_cancelled_make_no_more_threads_than_there_may_be(
    one_thread: Callable[[], None],
) -> None:
    one_thread()
    function, called = Blocking(), list[int]()
    await_first = asyncio.create_task(run_in_thread(function, never))
    await function.started.wait()
    await cancelled(await_first)

    waiting = asyncio.create_task(run_in_thread(lambda: called.append(1), never))
    given_up = asyncio.create_task(run_in_thread(lambda: called.append(2), never))
    await asyncio.sleep(0)
    await cancelled(given_up)
    assert called == []

    function.go_on.set()
    async with asyncio.timeout(PATIENCE):
        await waiting
    assert called == [1]
    assert threads_in_use() == 0


async def test_what_a_function_raises_too_late_is_told() -> None:
    late = Failures()
    function = Blocking(LookupError("late"))
    task = asyncio.create_task(run_in_thread(function, late))
    await function.started.wait()
    await cancelled(task)

    function.go_on.set()
    async with asyncio.timeout(PATIENCE):
        await late.came.wait()

    assert late == [function.error]
    assert threads_in_use() == 0


async def test_what_a_function_raised_in_the_moment_of_the_cancellation_is_told() -> None:
    late = Failures()
    raised = threading.Event()

    def fail() -> None:
        raised.set()
        raise LookupError

    task = asyncio.create_task(run_in_thread(fail, late))
    async with asyncio.timeout(PATIENCE):
        while threads_in_use() == 0:  # noqa: ASYNC110 - the limiter tells nobody
            await asyncio.sleep(0)
    # The loop is held up here, so the thread's outcome waits while the cancellation comes first.
    while not raised.wait(PATIENCE):
        pytest.fail("the function was not called")
    await cancelled(task)

    async with asyncio.timeout(PATIENCE):
        await late.came.wait()
    assert [type(error) for error in late] == [LookupError]
    await until_no_thread_is_in_use()


async def test_a_function_whose_thread_had_not_begun_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[Callable[[], Any]] = []
    began = asyncio.Event()

    async def slow_to_start(function: Callable[[], Any], *, abandon_on_cancel: bool, limiter: Any) -> None:
        assert abandon_on_cancel
        async with limiter:
            handed.append(function)
            began.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(to_thread, "run_sync", slow_to_start)
    task = asyncio.create_task(run_in_thread(lambda: pytest.fail("called"), never))
    await began.wait()
    assert threads_in_use() == 1
    await cancelled(task)
    assert threads_in_use() == 0

    thread = threading.Thread(target=handed[0])
    thread.start()
    thread.join()
    await asyncio.sleep(0)
    assert threads_in_use() == 0


async def test_a_wait_in_the_thread_ends_with_the_cancellation() -> None:
    before, late = asyncio.all_tasks(), Failures()
    begun, outcome = asyncio.Event(), asyncio.Queue[str]()
    loop = asyncio.get_running_loop()

    async def wait_for_ever() -> None:
        begun.set()
        await asyncio.Event().wait()

    def function() -> None:
        for _ in range(2):
            try:
                wait_in_thread(wait_for_ever())
            except CancelledWait:
                loop.call_soon_threadsafe(outcome.put_nowait, "cancelled")
        raise CancelledWait

    task = asyncio.create_task(run_in_thread(function, late))
    async with asyncio.timeout(PATIENCE):
        await begun.wait()
        await cancelled(task)
        assert [await outcome.get(), await outcome.get()] == ["cancelled", "cancelled"]
    await until_no_thread_is_in_use()
    assert asyncio.all_tasks() == before
    # That it ended by its cancellation is no failure.
    assert late == []


async def test_a_wait_that_reaches_the_loop_after_the_cancellation_is_refused() -> None:
    function, outcome = Blocking(), asyncio.Queue[str]()
    loop = asyncio.get_running_loop()
    posted = threading.Event()

    def wait() -> None:
        function()
        # While it is on its way to the loop, the loop is in `cancelled` below.
        posted.set()
        try:
            wait_in_thread(asyncio.Event().wait())
        except CancelledWait:
            loop.call_soon_threadsafe(outcome.put_nowait, "refused")
            raise

    task = asyncio.create_task(run_in_thread(wait, never))
    await function.started.wait()
    function.go_on.set()
    assert posted.wait(PATIENCE)
    await cancelled(task)

    async with asyncio.timeout(PATIENCE):
        assert await outcome.get() == "refused"
    await until_no_thread_is_in_use()


async def test_a_wait_elsewhere_is_refused() -> None:
    with pytest.raises(RuntimeError, match="write await"):
        wait_in_thread(asyncio.sleep(0))


def test_when_the_loop_is_over_a_wait_is_refused_and_a_failure_is_told() -> None:
    told: list[BaseException] = []
    refused: list[bool] = []
    came = threading.Event()
    functions: list[Blocking] = []

    def late(error: BaseException) -> None:
        told.append(error)
        came.set()

    async def main() -> None:
        function = Blocking(LookupError("late"))
        functions.append(function)

        def wait_and_fail() -> None:
            try:
                function()
            finally:
                with pytest.raises(CancelledWait):
                    wait_in_thread(asyncio.sleep(0))
                refused.append(True)

        task = asyncio.create_task(run_in_thread(wait_and_fail, late))
        await function.started.wait()
        await cancelled(task)

    asyncio.run(main())
    functions[0].go_on.set()

    assert came.wait(PATIENCE)
    assert (told, refused) == ([functions[0].error], [True])
