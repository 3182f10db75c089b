"""Tasks in SQL. Whoever runs one names itself in each statement that writes it: what another one writes is not kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from gatepost.stores.contract.tasks import Adoption, Task, TaskEnding, TaskStatus, TaskView
from gatepost.stores.contract.wakeups import Wakeup, WakeupKind
from gatepost.stores.sql.database import Operations, Transaction, read, write
from gatepost.stores.sql.rows import delete_ended
from gatepost.stores.sql.tables import TASKS

_COUNT: Final = "SELECT COUNT(*) AS count FROM tasks WHERE person = $1 AND expires_at > $2"
_FIND: Final = "SELECT * FROM tasks WHERE task_fingerprint = $1 AND owner = $2 AND expires_at > $3"
_AT_ONCE: Final = 64
_VERSIONS: Final = (
    "SELECT task_fingerprint, version FROM tasks "  # noqa: S608 - our own text
    f"WHERE task_fingerprint IN ({', '.join(f'${number + 1}' for number in range(_AT_ONCE))})"
)
_IS_LIVE: Final = "status IN ('working', 'input_required')"
_IS_RUN: Final = f"SELECT 1 FROM tasks WHERE task_fingerprint = $1 AND runner = $2 AND {_IS_LIVE}"  # noqa: S608 - our own text
_SET_STATUS: Final = """
    UPDATE tasks SET status = $2, updated_at = $3, version = version + 1
    WHERE task_fingerprint = $1 AND status <> $2
"""
_ASK: Final = """
    INSERT INTO task_requests (task_fingerprint, request_key, request) VALUES ($1, $2, $3)
    ON CONFLICT (task_fingerprint, request_key) DO NOTHING
"""
_REQUESTS: Final = "SELECT request_key, request, response FROM task_requests WHERE task_fingerprint = $1"
_ANSWER: Final = """
    UPDATE task_requests SET response = $3 WHERE task_fingerprint = $1 AND request_key = $2 AND response IS NULL
"""
_WITHDRAW: Final = "DELETE FROM task_requests WHERE task_fingerprint = $1 AND request_key = $2 AND response IS NULL"
_WITHDRAW_ALL: Final = "DELETE FROM task_requests WHERE task_fingerprint = $1 AND response IS NULL"
_OPEN: Final = "SELECT 1 FROM task_requests WHERE task_fingerprint = $1 AND response IS NULL"
_HAS_NEWS: Final = "UPDATE tasks SET has_news = 1, updated_at = $2, version = version + 1 WHERE task_fingerprint = $1"
_KEEP: Final = """
    INSERT INTO task_values (task_fingerprint, name, value) VALUES ($1, $2, $3)
    ON CONFLICT (task_fingerprint, name) DO NOTHING
"""
_NOTE: Final = f"""
    UPDATE tasks SET status_message = $3, updated_at = $4, version = version + 1
    WHERE task_fingerprint = $1 AND runner = $2 AND {_IS_LIVE}
"""  # noqa: S608 - our own text
_FINISH: Final = f"""
    UPDATE tasks SET status = $3, outcome = $4, status_message = $5, updated_at = $6, runner = NULL, request = NULL,
        has_news = 0, version = version + 1, expires_at = CASE WHEN expires_at < $7 THEN $7 ELSE expires_at END
    WHERE task_fingerprint = $1 AND runner = $2 AND {_IS_LIVE}
"""  # noqa: S608 - likewise
# It stays its runner's until that has heard of it.
_CANCEL: Final = f"""
    UPDATE tasks SET status = 'cancelled', status_message = NULL, updated_at = $2, request = NULL, has_news = 1,
        version = version + 1
    WHERE task_fingerprint = $1 AND {_IS_LIVE}
"""  # noqa: S608 - likewise
_FORGET: Final = (
    "DELETE FROM task_requests WHERE task_fingerprint = $1",
    "DELETE FROM task_values WHERE task_fingerprint = $1",
)
_NEWS: Final = "SELECT task_fingerprint, status FROM tasks WHERE runner = $1 AND has_news = 1 LIMIT $2"
_FORGET_NEWS: Final = f"""
    UPDATE tasks SET has_news = 0, runner = CASE WHEN {_IS_LIVE} THEN runner ELSE NULL END
    WHERE task_fingerprint = $1 AND runner = $2
"""  # noqa: S608 - likewise
_RENEW: Final = """
    INSERT INTO task_runners (runner, expires_at) VALUES ($1, $2)
    ON CONFLICT (runner) DO UPDATE SET expires_at = excluded.expires_at
"""
_RUN_BY: Final = f"SELECT task_fingerprint FROM tasks WHERE runner = $1 AND request IS NULL AND {_IS_LIVE}"  # noqa: S608 - likewise
_RUN: Final = f"SELECT task_fingerprint FROM tasks WHERE runner = $1 AND {_IS_LIVE}"  # noqa: S608 - likewise
_ORPHANS: Final = f"""
    SELECT tasks.* FROM task_runners JOIN tasks ON tasks.runner = task_runners.runner
    WHERE task_runners.expires_at <= $2 AND tasks.place = $1 AND tasks.expires_at > $2 AND tasks.{_IS_LIVE}
    LIMIT $3
"""  # noqa: S608 - likewise
_ADOPT: Final = """
    UPDATE tasks SET runner = $2, status = 'working', runs = runs + 1, has_news = 0, updated_at = $3,
        version = version + 1
    WHERE task_fingerprint = $1
"""
_ADOPTED: Final = f"SELECT * FROM tasks WHERE runner = $1 AND runs > 1 AND {_IS_LIVE}"  # noqa: S608 - likewise
_DELETE_ENDED: Final = delete_ended("tasks", "task_fingerprint")
_DELETE_RUNNERS: Final = """
    DELETE FROM task_runners WHERE runner IN (
        SELECT runner FROM task_runners WHERE expires_at <= $1
            AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.runner = task_runners.runner)
        ORDER BY expires_at LIMIT $2
    )
"""


class SqlTaskStore(Operations):
    """`TaskStore` over a database."""

    @write
    async def begin_task(self, transaction: Transaction, task: Task, *, most: int) -> bool:
        counted = await transaction.one(_COUNT, task.person, task.created_at)
        assert counted is not None  # noqa: S101 - a count always has a row; tells mypy
        if counted["count"] >= most:
            return False
        await TASKS.insert(transaction, task)
        return True

    @read
    async def find_task(
        self, transaction: Transaction, task_fingerprint: bytes, *, owner: str, now: int
    ) -> TaskView | None:
        task = await TASKS.one(transaction, _FIND, task_fingerprint, owner, now)
        if task is None:
            return None
        rows = await transaction.all(_REQUESTS, task_fingerprint) if task.status is TaskStatus.INPUT_REQUIRED else ()
        return TaskView(task, {row["request_key"]: row["request"] for row in rows if row["response"] is None})

    @read
    async def list_versions(self, transaction: Transaction, task_fingerprints: Collection[bytes]) -> dict[bytes, int]:
        found: dict[bytes, int] = {}
        every = tuple(task_fingerprints)
        for at in range(0, len(every), _AT_ONCE):
            some = every[at : at + _AT_ONCE]
            # Filled up, so that it is one statement that drivers prepare once.
            filled = (*some, *some[:1] * (_AT_ONCE - len(some)))
            rows = await transaction.all(_VERSIONS, *filled)
            found |= {row["task_fingerprint"]: row["version"] for row in rows}
        return found

    @write
    async def ask(
        self, transaction: Transaction, task_fingerprint: bytes, requests: Mapping[str, bytes], *, runner: str, now: int
    ) -> dict[str, bytes] | None:
        if await transaction.one(_IS_RUN, task_fingerprint, runner) is None:
            return None
        for key, request in requests.items():
            await transaction.run(_ASK, task_fingerprint, key, request)
        rows = await transaction.all(_REQUESTS, task_fingerprint)
        if any(row["response"] is None for row in rows):
            # Anew for each, since what is open is to be seen too.
            await transaction.run(_SET_STATUS, task_fingerprint, TaskStatus.WORKING.value, now)
            await transaction.run(_SET_STATUS, task_fingerprint, TaskStatus.INPUT_REQUIRED.value, now)
            await _tell(transaction, task_fingerprint)
        return {
            row["request_key"]: row["response"]
            for row in rows
            if row["request_key"] in requests and row["response"] is not None
        }

    @write
    async def answer(
        self,
        transaction: Transaction,
        task_fingerprint: bytes,
        responses: Mapping[str, bytes],
        *,
        owner: str,
        now: int,
    ) -> bool:
        task = await TASKS.one(transaction, _FIND, task_fingerprint, owner, now)
        if task is None:
            return False
        taken = 0
        for key, response in responses.items():
            taken += await transaction.run(_ANSWER, task_fingerprint, key, response)
        if taken:
            await transaction.run(_HAS_NEWS, task_fingerprint, now)
            if await transaction.one(_OPEN, task_fingerprint) is None:
                await transaction.run(_SET_STATUS, task_fingerprint, TaskStatus.WORKING.value, now)
            await _tell(transaction, task_fingerprint)
        return True

    @write
    async def withdraw(
        self, transaction: Transaction, task_fingerprint: bytes, keys: Collection[str], *, runner: str, now: int
    ) -> None:
        if await transaction.one(_IS_RUN, task_fingerprint, runner) is None:
            return
        withdrawn = 0
        for key in keys:
            withdrawn += await transaction.run(_WITHDRAW, task_fingerprint, key)
        if withdrawn:
            if await transaction.one(_OPEN, task_fingerprint) is None:
                await transaction.run(_SET_STATUS, task_fingerprint, TaskStatus.WORKING.value, now)
            await _tell(transaction, task_fingerprint)

    @read
    async def find_responses(self, transaction: Transaction, task_fingerprint: bytes) -> dict[str, bytes]:
        rows = await transaction.all(_REQUESTS, task_fingerprint)
        return {row["request_key"]: row["response"] for row in rows if row["response"] is not None}

    @write
    async def keep_value(
        self, transaction: Transaction, task_fingerprint: bytes, name: str, value: bytes, *, runner: str
    ) -> bool:
        if await transaction.one(_IS_RUN, task_fingerprint, runner) is None:
            return False
        await transaction.run(_KEEP, task_fingerprint, name, value)
        return True

    @read
    async def find_values(self, transaction: Transaction, task_fingerprint: bytes) -> dict[str, bytes]:
        rows = await transaction.all(
            "SELECT name, value FROM task_values WHERE task_fingerprint = $1", task_fingerprint
        )
        return {row["name"]: row["value"] for row in rows}

    @write
    async def note_progress(
        self, transaction: Transaction, task_fingerprint: bytes, message: str, *, runner: str, now: int
    ) -> bool:
        if not await transaction.run(_NOTE, task_fingerprint, runner, message, now):
            return False
        await _tell(transaction, task_fingerprint)
        return True

    @write
    async def finish_task(
        self,
        transaction: Transaction,
        task_fingerprint: bytes,
        ending: TaskEnding,
        *,
        runner: str,
        now: int,
        kept_until: int,
    ) -> bool:
        return await _finish(transaction, task_fingerprint, ending, runner=runner, now=now, kept_until=kept_until)

    @write
    async def cancel_task(self, transaction: Transaction, task_fingerprint: bytes, *, owner: str, now: int) -> bool:
        if await transaction.one(_FIND, task_fingerprint, owner, now) is None:
            return False
        if await transaction.run(_CANCEL, task_fingerprint, now):
            await _forget(transaction, task_fingerprint)
            await _tell(transaction, task_fingerprint)
        return True

    @read
    async def list_news(self, transaction: Transaction, runner: str, *, limit: int) -> list[tuple[bytes, TaskStatus]]:
        rows = await transaction.all(_NEWS, runner, limit)
        return [(row["task_fingerprint"], TaskStatus(row["status"])) for row in rows]

    @write
    async def forget_news(self, transaction: Transaction, runner: str, task_fingerprints: Sequence[bytes]) -> None:
        for each in task_fingerprints:
            await transaction.run(_FORGET_NEWS, each, runner)

    @write
    async def renew_runner(self, transaction: Transaction, runner: str, *, until: int) -> None:
        await transaction.run(_RENEW, runner, until)

    @write
    async def end_runner(self, transaction: Transaction, runner: str, ending: TaskEnding, *, now: int) -> None:
        for row in await transaction.all(_RUN_BY, runner):
            await _finish(transaction, row["task_fingerprint"], ending, runner=runner, now=now, kept_until=now)
        await transaction.run("UPDATE task_runners SET expires_at = $2 WHERE runner = $1", runner, now)

    @read
    async def list_run(self, transaction: Transaction, runner: str) -> set[bytes]:
        return {row["task_fingerprint"] for row in await transaction.all(_RUN, runner)}

    @read
    async def find_orphans(self, transaction: Transaction, place: str, *, now: int) -> bool:
        return await transaction.one(_ORPHANS, place, now, 1) is not None

    @write
    async def adopt_tasks(
        self,
        transaction: Transaction,
        place: str,
        ending: TaskEnding,
        *,
        runner: str,
        now: int,
        limit: int,
        most_runs: int,
    ) -> Adoption:
        to_run: list[Task] = []
        ended: list[Task] = []
        for task in await TASKS.all(transaction, _ORPHANS, place, now, limit):
            key, before = task.task_fingerprint, task.runner
            if task.request is None or task.runs >= most_runs:
                assert before is not None  # noqa: S101 - it was joined by it; tells mypy
                await _finish(transaction, key, ending, runner=before, now=now, kept_until=now)
                ended.append(task)
                continue
            await transaction.run(_WITHDRAW_ALL, key)
            await transaction.run(_ADOPT, key, runner, now)
            await _tell(transaction, key)
            to_run.append(task)
        return Adoption(to_run, ended)

    @read
    async def list_adopted(self, transaction: Transaction, runner: str) -> list[Task]:
        return await TASKS.all(transaction, _ADOPTED, runner)

    @write
    async def delete_tasks(self, transaction: Transaction, *, before: int, limit: int) -> int:
        return await transaction.run(_DELETE_ENDED, before, limit)

    @write
    async def delete_runners(self, transaction: Transaction, *, before: int, limit: int) -> int:
        return await transaction.run(_DELETE_RUNNERS, before, limit)


async def _finish(
    transaction: Transaction, task_fingerprint: bytes, ending: TaskEnding, *, runner: str, now: int, kept_until: int
) -> bool:
    how = ending.status.value, ending.outcome, ending.message
    if not await transaction.run(_FINISH, task_fingerprint, runner, *how, now, kept_until):
        return False
    await _forget(transaction, task_fingerprint)
    await _tell(transaction, task_fingerprint)
    return True


async def _forget(transaction: Transaction, task_fingerprint: bytes) -> None:
    for statement in _FORGET:
        await transaction.run(statement, task_fingerprint)


async def _tell(transaction: Transaction, task_fingerprint: bytes) -> None:
    await transaction.notify(Wakeup(WakeupKind.TASK, name=task_fingerprint.hex()))
