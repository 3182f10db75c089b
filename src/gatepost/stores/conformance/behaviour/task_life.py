"""Tasks, what they ask and who runs them, on every backend."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import pytest

from gatepost.stores.conformance.records import NOW, fp
from gatepost.stores.contract.store import Store
from gatepost.stores.contract.tasks import Task, TaskEnding, TaskStatus, TaskView

RUNNER: Final = "runner-1"
DONE: Final = TaskEnding(TaskStatus.COMPLETED, b'{"content":[]}', "done")
LOST: Final = TaskEnding(TaskStatus.FAILED, b'{"code":-32603}', "lost")
KEY: Final = fp("task")


def a_task(name: str = "task", **changes: Any) -> Task:
    """A task that is run again when its runner dies."""
    task = Task(
        fp(name), "/mcp", "owner", "person", "count", NOW, NOW + 600, 1000, RUNNER, updated_at=NOW, request=b"{}"
    )
    return replace(task, **changes)


async def begin(store: Store, name: str = "task", **changes: Any) -> Task:
    task = a_task(name, **changes)
    await store.tasks.renew_runner(RUNNER, until=NOW + 60)
    assert await store.tasks.begin_task(task, most=99)
    return task


async def find(store: Store, name: str = "task", *, owner: str = "owner", now: int = NOW) -> TaskView | None:
    return await store.tasks.find_task(fp(name), owner=owner, now=now)


async def found(store: Store, name: str = "task", *, now: int = NOW) -> TaskView:
    view = await find(store, name, now=now)
    assert view is not None
    return view


async def status(store: Store, name: str = "task") -> TaskStatus:
    return (await found(store, name)).task.status


async def ask(store: Store, *keys: str, runner: str = RUNNER) -> dict[str, bytes] | None:
    return await store.tasks.ask(KEY, {key: b"q " + key.encode() for key in keys}, runner=runner, now=NOW)


async def answer(store: Store, *keys: str, response: bytes = b"yes", owner: str = "owner") -> bool:
    return await store.tasks.answer(KEY, dict.fromkeys(keys, response), owner=owner, now=NOW + 1)


async def adopt(
    store: Store, *, now: int, runner: str = "runner-2", place: str = "/mcp", limit: int = 9
) -> Sequence[Task]:
    adoption = await store.tasks.adopt_tasks(place, LOST, runner=runner, now=now, limit=limit, most_runs=3)
    return adoption.to_run


async def test_a_task_is_there_once_it_has_begun(store: Store) -> None:
    task = await begin(store, access_id="grant-1", status_message="begun")
    assert await find(store) == TaskView(task, {})


async def test_a_task_of_somebody_else_is_as_unknown_as_one_that_there_is_not(store: Store) -> None:
    await begin(store)
    assert await find(store, owner="other") is None
    assert await find(store, "unknown") is None
    assert not await answer(store, "a", owner="other")
    assert not await store.tasks.cancel_task(KEY, owner="other", now=NOW)
    assert not await store.tasks.cancel_task(fp("unknown"), owner="owner", now=NOW)
    assert (await found(store)).task.status is TaskStatus.WORKING


async def test_a_task_that_expired_is_not_found_and_goes_with_all_that_is_its(store: Store) -> None:
    await begin(store)
    await ask(store, "a")
    await store.tasks.keep_value(KEY, "paid", b"1", runner=RUNNER)
    assert await find(store, now=NOW + 599) is not None
    assert await find(store, now=NOW + 600) is None
    assert not await store.tasks.cancel_task(KEY, owner="owner", now=NOW + 600)
    assert await store.tasks.delete_tasks(before=NOW + 599, limit=9) == 0
    assert await store.tasks.delete_tasks(before=NOW + 600, limit=9) == 1
    assert await store.tasks.find_values(KEY) == {}
    assert await store.tasks.list_versions([KEY]) == {}


async def test_a_person_has_only_so_many_tasks_and_what_expired_does_not_count(store: Store) -> None:
    begun = await asyncio.gather(*(store.tasks.begin_task(a_task(str(n)), most=3) for n in range(8)))
    assert sum(begun) == 3
    assert await store.tasks.begin_task(a_task("theirs", person="other"), most=3)
    assert not await store.tasks.begin_task(a_task("late", created_at=NOW + 599), most=3)
    assert await store.tasks.begin_task(a_task("later", created_at=NOW + 600, expires_at=NOW + 900), most=3)


async def test_a_task_ends_once_and_keeps_how(store: Store) -> None:
    await begin(store)
    await ask(store, "a")
    assert await store.tasks.finish_task(KEY, DONE, runner=RUNNER, now=NOW + 5, kept_until=NOW + 900)
    assert not await store.tasks.finish_task(KEY, LOST, runner=RUNNER, now=NOW + 6, kept_until=NOW + 900)
    view = await found(store, now=NOW + 899)
    assert (view.task.status, view.task.outcome, view.task.status_message) == (DONE.status, DONE.outcome, DONE.message)
    assert (view.task.runner, view.task.request, view.task.updated_at) == (None, None, NOW + 5)
    assert view.open_requests == {}
    assert await store.tasks.find_values(KEY) == {}


async def test_an_end_never_shortens_what_was_promised(store: Store) -> None:
    await begin(store)
    assert await store.tasks.finish_task(KEY, DONE, runner=RUNNER, now=NOW, kept_until=NOW + 1)
    assert (await found(store)).task.expires_at == NOW + 600


async def test_what_a_process_writes_that_does_not_run_the_task_is_not_kept(store: Store) -> None:
    task = await begin(store)
    assert await ask(store, "a", runner="other") is None
    assert not await store.tasks.finish_task(KEY, DONE, runner="other", now=NOW, kept_until=NOW)
    assert not await store.tasks.note_progress(KEY, "half", runner="other", now=NOW)
    assert not await store.tasks.keep_value(KEY, "paid", b"1", runner="other")
    await store.tasks.withdraw(KEY, ["a"], runner="other", now=NOW)
    await store.tasks.forget_news("other", [KEY])
    assert await find(store) == TaskView(task, {})


async def test_progress_is_seen_and_counts_as_a_change(store: Store) -> None:
    await begin(store)
    assert await store.tasks.note_progress(KEY, "half", runner=RUNNER, now=NOW + 3)
    view = await found(store)
    assert (view.task.status_message, view.task.updated_at, view.task.version) == ("half", NOW + 3, 2)
    assert await store.tasks.list_versions([KEY, fp("unknown")]) == {KEY: 2}


async def test_what_a_task_asks_is_open_until_its_client_answers(store: Store) -> None:
    await begin(store)
    assert await ask(store, "a", "b") == {}
    view = await found(store)
    assert view.task.status is TaskStatus.INPUT_REQUIRED
    assert view.open_requests == {"a": b"q a", "b": b"q b"}

    assert await answer(store, "a", "nobody asked")
    view = await found(store)
    assert (view.task.status, view.open_requests) == (TaskStatus.INPUT_REQUIRED, {"b": b"q b"})
    assert await answer(store, "b")
    assert await status(store) is TaskStatus.WORKING
    assert await store.tasks.find_responses(KEY) == {"a": b"yes", "b": b"yes"}


async def test_the_first_answer_counts_and_stands_for_the_same_question_again(store: Store) -> None:
    await begin(store)
    await ask(store, "a")
    await asyncio.gather(*(answer(store, "a", response=f"{n}".encode()) for n in range(5)))
    first = await store.tasks.find_responses(KEY)
    assert await answer(store, "a", response=b"late")
    assert await ask(store, "a") == first == await store.tasks.find_responses(KEY)
    assert await status(store) is TaskStatus.WORKING


async def test_what_is_withdrawn_is_open_no_more_and_what_was_answered_stays(store: Store) -> None:
    await begin(store)
    await ask(store, "a", "b")
    await answer(store, "a")
    await store.tasks.withdraw(KEY, ["a", "b"], runner=RUNNER, now=NOW)
    assert await status(store) is TaskStatus.WORKING
    assert await answer(store, "b")
    assert await store.tasks.find_responses(KEY) == {"a": b"yes"}


async def test_an_answer_and_a_cancellation_are_news_for_whoever_runs_the_task(store: Store) -> None:
    await begin(store)
    await ask(store, "a")
    await begin(store, "other")
    assert await store.tasks.list_news(RUNNER, limit=9) == []
    await answer(store, "a")
    assert await store.tasks.list_news(RUNNER, limit=9) == [(KEY, TaskStatus.WORKING)]
    await store.tasks.forget_news(RUNNER, [KEY])
    assert await store.tasks.list_news(RUNNER, limit=9) == []
    await store.tasks.cancel_task(KEY, owner="owner", now=NOW)
    assert await store.tasks.list_news(RUNNER, limit=9) == [(KEY, TaskStatus.CANCELLED)]
    await store.tasks.forget_news(RUNNER, [KEY])
    assert (await found(store)).task.runner is None


async def test_a_cancelled_task_stays_so_whatever_comes_of_it(store: Store) -> None:
    await begin(store)
    await ask(store, "a")
    assert await store.tasks.cancel_task(KEY, owner="owner", now=NOW + 2)
    assert not await store.tasks.finish_task(KEY, DONE, runner=RUNNER, now=NOW, kept_until=NOW)
    assert await ask(store, "b") is None
    assert await store.tasks.cancel_task(KEY, owner="owner", now=NOW + 3)
    view = await found(store)
    assert (view.task.status, view.task.outcome, view.task.updated_at) == (TaskStatus.CANCELLED, None, NOW + 2)
    assert view.open_requests == {}


async def test_what_has_ended_is_not_cancelled(store: Store) -> None:
    await begin(store)
    await store.tasks.finish_task(KEY, DONE, runner=RUNNER, now=NOW, kept_until=NOW)
    assert await store.tasks.cancel_task(KEY, owner="owner", now=NOW)
    assert await status(store) is TaskStatus.COMPLETED


async def test_tasks_of_a_runner_that_lives_are_nobody_elses(store: Store) -> None:
    await begin(store)
    assert not await store.tasks.find_orphans("/mcp", now=NOW + 59)
    assert await adopt(store, now=NOW + 59) == []
    await store.tasks.renew_runner(RUNNER, until=NOW + 120)
    assert await adopt(store, now=NOW + 119) == []


async def test_of_several_processes_one_adopts_a_task_whose_runner_died(store: Store) -> None:
    await begin(store)
    await ask(store, "a", "b")
    await answer(store, "a")
    assert not await store.tasks.find_orphans("/other", now=NOW + 60)
    assert await store.tasks.find_orphans("/mcp", now=NOW + 60)
    adopted = await asyncio.gather(*(adopt(store, now=NOW + 60, runner=f"r{n}") for n in range(5)))
    assert sorted(map(len, adopted)) == [0, 0, 0, 0, 1]
    (number,) = (n for n, tasks in enumerate(adopted) if tasks)
    assert adopted[number][0].request == b"{}"
    view = await found(store, now=NOW + 60)
    assert (view.task.runner, view.task.runs, view.task.status) == (f"r{number}", 2, TaskStatus.WORKING)
    # The new run is answered what was answered, and asks again what was not.
    assert await ask(store, "a", "b", runner=f"r{number}") == {"a": b"yes"}
    assert not await store.tasks.finish_task(KEY, DONE, runner=RUNNER, now=NOW, kept_until=NOW)


async def test_a_task_that_cannot_be_run_again_ends_when_its_runner_died(store: Store) -> None:
    await begin(store, request=None)
    await begin(store, "tried often", runs=3)
    await begin(store, "elsewhere", place="/other", request=None)
    adoption = await store.tasks.adopt_tasks("/mcp", LOST, runner="runner-2", now=NOW + 60, limit=9, most_runs=3)
    assert adoption.to_run == []
    assert {task.task_fingerprint for task in adoption.ended} == {KEY, fp("tried often")}
    for name in ("task", "tried often"):
        task = (await found(store, name)).task
        assert (task.status, task.outcome, task.status_message) == (LOST.status, LOST.outcome, LOST.message)
    assert await status(store, "elsewhere") is TaskStatus.WORKING


async def test_a_runner_is_told_which_tasks_are_its_own_still(store: Store) -> None:
    for name in ("task", "ended", "cancelled"):
        await begin(store, name)
    await begin(store, "of another", runner="other")
    await store.tasks.finish_task(fp("ended"), DONE, runner=RUNNER, now=NOW, kept_until=NOW)
    await store.tasks.cancel_task(fp("cancelled"), owner="owner", now=NOW)
    assert await store.tasks.list_run(RUNNER) == {KEY}
    assert await store.tasks.list_run("nobody") == set()
    await adopt(store, now=NOW + 60)
    assert await store.tasks.list_run(RUNNER) == set()
    assert await store.tasks.list_run("runner-2") == {KEY}
    assert [task.task_fingerprint for task in await store.tasks.list_adopted("runner-2")] == [KEY]
    await begin(store, "begun", runner="runner-2")
    assert [task.task_fingerprint for task in await store.tasks.list_adopted("runner-2")] == [KEY]
    assert await store.tasks.list_adopted(RUNNER) == []


async def test_only_so_many_are_adopted_at_once(store: Store) -> None:
    for number in range(5):
        await begin(store, str(number))
    assert [len(await adopt(store, now=NOW + 60, limit=2)) for _ in range(4)] == [2, 2, 1, 0]


async def test_a_runner_that_ends_leaves_what_can_be_run_again_and_ends_the_rest(store: Store) -> None:
    await begin(store)
    await begin(store, "once", request=None)
    await begin(store, "of another", request=None, runner="other")
    await store.tasks.end_runner(RUNNER, LOST, now=NOW + 1)
    assert (await found(store, "once")).task.status is TaskStatus.FAILED
    assert (await found(store, "of another")).task.status is TaskStatus.WORKING
    assert [task.task_fingerprint for task in await adopt(store, now=NOW + 1)] == [KEY]


async def test_what_a_run_kept_is_there_for_the_next_one(store: Store) -> None:
    await begin(store)
    assert await store.tasks.keep_value(KEY, "paid", b"1", runner=RUNNER)
    assert await store.tasks.keep_value(KEY, "paid", b"2", runner=RUNNER)
    assert len(await adopt(store, now=NOW + 60)) == 1
    assert await store.tasks.find_values(KEY) == {"paid": b"1"}


async def test_a_runner_is_forgotten_only_when_it_has_no_task_left(store: Store) -> None:
    await begin(store)
    assert await store.tasks.delete_runners(before=NOW + 60, limit=9) == 0
    await adopt(store, now=NOW + 60)
    assert await store.tasks.delete_runners(before=NOW + 59, limit=9) == 0
    assert await store.tasks.delete_runners(before=NOW + 60, limit=9) == 1
    assert await store.tasks.delete_runners(before=NOW + 60, limit=9) == 0


@pytest.mark.parametrize("ending", [DONE, LOST, TaskEnding(TaskStatus.CANCELLED)])
async def test_every_end_is_one(store: Store, ending: TaskEnding) -> None:
    await begin(store)
    assert await store.tasks.finish_task(KEY, ending, runner=RUNNER, now=NOW, kept_until=NOW)
    assert (await status(store)).is_over
