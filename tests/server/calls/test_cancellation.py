"""Cancel scopes: what runs in one is cancelled, has time to clean up, and is ended where it stands if it goes on."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from gatepost.protocol.errors import InvalidParams
from gatepost.server.calls.cancellation import CancelScope, RequestCancelled
from gatepost.server.errors import InsufficientScope
from tests.patience import PATIENCE
from tests.server.calls.answering_exchange import AnsweringExchange


class Waiting:
    """What waits until it is cancelled, and then does something about it."""

    def __init__(self, then: Callable[[], Any] | None = None) -> None:
        self.started = asyncio.Event()
        self.cancellations = 0
        self.then = then

    async def work(self) -> Any:
        try:
            self.started.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancellations += 1
            if self.then is None:
                raise
            outcome = self.then()
        else:
            raise AssertionError
        return await outcome if asyncio.iscoroutine(outcome) else outcome


def fail(error: BaseException) -> Any:
    raise error


async def stubborn(waits: list[int]) -> None:
    """Swallow every cancellation."""
    try:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                waits.append(1)
    finally:
        waits.append(-1)


async def started(scope: CancelScope, waiting: Waiting) -> asyncio.Task[Any]:
    """Begin the work in a task of its own."""
    task = scope.task = asyncio.create_task(scope.run(waiting.work()))
    await waiting.started.wait()
    return task


async def outcome(task: asyncio.Task[Any]) -> None:
    """See a task end without an answer, and without a cancellation that is left over."""
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(RequestCancelled):
            await task
    assert task.cancelling() == 0


async def test_work_that_nobody_cancels_gives_what_it_gives() -> None:
    async def at_once() -> int:
        return 1

    async def later() -> int:
        await asyncio.sleep(0)
        return 2

    assert await CancelScope().run(at_once()) == 1
    assert await CancelScope().run(later()) == 2


@pytest.mark.parametrize("error", [LookupError("own"), InvalidParams("own"), asyncio.CancelledError()])
async def test_what_it_raises_by_itself_is_raised(error: BaseException) -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise error

    with pytest.raises(type(error)):
        await CancelScope().run(work())


async def test_cancelled_work_is_over_and_its_exchange_is_closed_before_it_knows() -> None:
    exchange, seen = AnsweringExchange(), list[bool]()
    waiting = Waiting(lambda: seen.append(exchange.is_closed))
    scope = CancelScope(exchange)
    task = await started(scope, waiting)

    scope.cancel()
    scope.cancel()

    await outcome(task)
    assert (seen, waiting.cancellations) == ([True], 1)


async def test_work_that_another_cancels_is_over_and_its_exchange_is_closed() -> None:
    exchange = AnsweringExchange()
    task = await started(CancelScope(exchange), Waiting())

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert exchange.is_closed


@pytest.mark.parametrize(
    "then",
    [
        lambda: "done all the same",
        lambda: asyncio.sleep(0),
        lambda: fail(InvalidParams("too late")),
        lambda: fail(InsufficientScope(frozenset({"a"}))),
    ],
)
async def test_an_answer_that_comes_after_the_cancellation_is_dropped(
    then: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    scope = CancelScope()
    task = await started(scope, Waiting(then))

    scope.cancel()

    await outcome(task)
    assert caplog.records == []


async def test_a_failure_after_the_cancellation_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    scope = CancelScope()
    task = await started(scope, Waiting(lambda: fail(LookupError("late"))))

    scope.cancel()

    await outcome(task)
    assert "LookupError: late" in caplog.text


async def test_work_has_time_to_clean_up() -> None:
    cleaned = asyncio.Event()

    async def clean_up() -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        cleaned.set()

    scope = CancelScope()
    task = await started(scope, Waiting(clean_up))

    scope.cancel()

    await outcome(task)
    assert cleaned.is_set()


async def test_work_that_goes_on_is_ended_where_it_stands(caplog: pytest.LogCaptureFixture) -> None:
    waits = list[int]()
    scope = CancelScope()
    task = await started(scope, Waiting(lambda: stubborn(waits)))
    before = asyncio.all_tasks() - {task}

    scope.cancel(0)

    await outcome(task)
    assert waits == [-1]
    assert "is ended in Waiting.work > stubborn > Event.wait" in caplog.text
    assert asyncio.all_tasks() == before


async def test_work_may_be_left_less_time_but_not_more() -> None:
    is_over = asyncio.Event()

    async def go_on() -> None:
        while not is_over.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    scope = CancelScope()
    task = await started(scope, Waiting(go_on))

    scope.cancel()
    scope.cancel(0)
    scope.cancel(1000)
    for _ in range(10):
        await asyncio.sleep(0)

    is_over.set()  # else nothing ends it, should this fail
    assert task.done()
    await outcome(task)


async def test_work_that_is_ended_may_wait_in_its_finally_but_not_for_long(caplog: pytest.LogCaptureFixture) -> None:
    steps = list[str]()

    async def slow_to_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            steps.append("first")
            try:
                await asyncio.Event().wait()
            finally:
                steps.append("second")
                await asyncio.Event().wait()

    scope = CancelScope()
    task = await started(scope, Waiting(slow_to_end))

    scope.cancel(0)

    await outcome(task)
    assert steps == ["first", "second"]
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("error", [RuntimeError("while closing"), LookupError("while closing"), SystemExit(1)])
async def test_what_work_raises_while_it_is_ended_is_in_the_log(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails_to_end() -> None:
        try:
            await asyncio.Event().wait()
        except GeneratorExit:
            raise error from None

    scope = CancelScope()
    task = await started(scope, Waiting(fails_to_end))

    scope.cancel(0)

    await outcome(task)
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
    assert type(error).__name__ in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_request_ends_even_if_its_work_does_not(caplog: pytest.LogCaptureFixture) -> None:
    is_over = False

    async def immortal() -> None:
        while not is_over:
            try:
                await asyncio.Event().wait()
            except BaseException:  # noqa: BLE001, S112 - the point of the test
                continue

    scope = CancelScope()
    task = await started(scope, Waiting(immortal))

    scope.cancel(0)

    await outcome(task)
    assert "cannot be ended in Waiting.work" in caplog.text
    is_over = True
    del scope, task
    gc.collect()


async def test_work_that_has_not_begun_to_wait_is_cancelled_like_any_task() -> None:
    async def never() -> None:
        pytest.fail("it began")

    async def run(scope: CancelScope, coroutine: Coroutine[Any, Any, None]) -> None:
        await scope.run(coroutine)

    unstarted = never()
    scope = CancelScope()
    scope.cancel()
    task = scope.task = asyncio.create_task(run(scope, unstarted))

    scope.cancel(0)

    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    unstarted.close()
