"""Tasks: calls that are answered before they end, and what became of them (MCP extension `tasks`, SEP-2663).

A task lies here under the fingerprint of its id. A *runner* is a process that runs tasks; it says now and then that it
lives, and the tasks of one that does not are adopted by another one, or have failed. Who runs a task is decided here,
so at most one does: what another one still writes is not kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from typing import Protocol

from gatepost.late_dataclass import dataclass


class TaskStatus(StrEnum):
    """How it is with a task; in the words of the wire."""

    WORKING = "working"
    INPUT_REQUIRED = "input_required"
    """It waits for what its client is asked."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether it stays so."""
        return self not in {TaskStatus.WORKING, TaskStatus.INPUT_REQUIRED}


@dataclass(frozen=True, slots=True)
class Task:
    """One call that is a task. Times are whole seconds UTC."""

    task_fingerprint: bytes
    place: str
    """Where it was called: the path of the endpoint, whose processes alone can run it."""
    owner: str
    """Who may know of it; to anybody else it is unknown."""
    person: str
    """For whom it is counted."""
    tool: str
    created_at: int
    expires_at: int
    """Until then it runs and is kept."""
    poll_interval: int
    """How often its client is to ask, in milliseconds."""
    runner: str | None
    """The process that runs it; None once it is over."""
    status: TaskStatus = TaskStatus.WORKING
    status_message: str | None = None
    updated_at: int = 0
    version: int = 1
    """Counts up with each change that its client may see."""
    runs: int = 1
    """How often it was begun."""
    access_id: str | None = None
    """What its caller's access hangs on: the id of their grant or API key, if it is one of ours."""
    request: bytes | None = field(default=None, repr=False)
    """What it takes to run it again, sealed; None for one that is not run again, and once it is over."""
    outcome: bytes | None = field(default=None, repr=False)
    """The result or error, sealed, or plain where it holds nothing of the caller's; None until it has ended with one.
    """


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task with what its client has still to answer."""

    task: Task
    open_requests: Mapping[str, bytes]
    """Requests to the client, by key; empty unless `input_required`."""


@dataclass(frozen=True, slots=True)
class TaskEnding:
    """How a task ends."""

    status: TaskStatus
    outcome: bytes | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Adoption:
    """What became of tasks that a dead runner left behind."""

    to_run: Sequence[Task]
    """Those that whoever adopts them is to run again, as they were before."""
    ended: Sequence[Task]
    """Those that ended, as they were before."""


class TaskStore(Protocol):
    """Tasks, what they ask their clients, and who runs them.

    What requests, responses, values and outcomes say is not looked at: they come sealed, and go out as they came.

    Other processes are woken (`Wakeups`) by whatever changes what a client may see of a task, under its fingerprint in
    hexadecimal digits.
    """

    async def begin_task(self, task: Task, *, most: int) -> bool:
        """Keep a new task if its person then has at most `most` that have not expired; False, and nothing, otherwise.

        Repeated: the key of the record is there already, which is an error of the backend, and nothing is written. It
        is made for one call; who does not know what came of that makes another record.
        """

    async def find_task(self, task_fingerprint: bytes, *, owner: str, now: int) -> TaskView | None:
        """Return the task, as of one moment, if it is this owner's and has not expired."""

    async def list_versions(self, task_fingerprints: Collection[bytes]) -> dict[bytes, int]:
        """Return the version of each of these tasks that there is."""

    async def ask(
        self, task_fingerprint: bytes, requests: Mapping[str, bytes], *, runner: str, now: int
    ) -> dict[str, bytes] | None:
        """Keep requests to the task's client, each under its key, and return the responses that there are.

        What stands under a key already, stays, with its response. While one is not answered, the task is
        `input_required`. None, and nothing kept, when this runner does not run it (any more).

        Repeated: as the first time, with the responses that came in between.
        """

    async def answer(self, task_fingerprint: bytes, responses: Mapping[str, bytes], *, owner: str, now: int) -> bool:
        """Keep the client's responses to what is open; others count for nothing. False: this owner has no such task.

        Without anything open left it is `working` again. Whoever runs it finds it in `list_news`.

        Repeated: True; the first response to each counts.
        """

    async def withdraw(self, task_fingerprint: bytes, keys: Collection[str], *, runner: str, now: int) -> None:
        """Ask the client no more for what was not answered under these keys.

        Repeated: fine.
        """

    async def find_responses(self, task_fingerprint: bytes) -> dict[str, bytes]:
        """Return the responses that there are, by key."""

    async def keep_value(self, task_fingerprint: bytes, name: str, value: bytes, *, runner: str) -> bool:
        """Keep what the task is to find when it is run again; False when this runner does not run it (any more).

        Repeated: True; the first value stays.
        """

    async def find_values(self, task_fingerprint: bytes) -> dict[str, bytes]:
        """Return what is kept for the next run, by name."""

    async def note_progress(self, task_fingerprint: bytes, message: str, *, runner: str, now: int) -> bool:
        """Keep how far it is, in words; False when this runner does not run it (any more).

        Repeated: True; the version counts up again, so those who watch it are told twice.
        """

    async def finish_task(
        self, task_fingerprint: bytes, ending: TaskEnding, *, runner: str, now: int, kept_until: int
    ) -> bool:
        """End a task; False when this runner does not run it (any more), and then nothing changes.

        It expires at `kept_until`, or later if that was so before. What it asked and kept goes.

        Repeated: False; it has ended as the first one said.
        """

    async def cancel_task(self, task_fingerprint: bytes, *, owner: str, now: int) -> bool:
        """Cancel a task unless it is over; False when this owner has no such task.

        Whoever runs it finds it in `list_news`.

        Repeated: True.
        """

    async def list_news(self, runner: str, *, limit: int) -> list[tuple[bytes, TaskStatus]]:
        """Return tasks of this runner that were answered or cancelled, and how it is with them."""

    async def forget_news(self, runner: str, task_fingerprints: Sequence[bytes]) -> None:
        """Note that the runner is about to look at these; what is cancelled is its no more.

        Repeated: fine.
        """

    async def renew_runner(self, runner: str, *, until: int) -> None:
        """Note that a runner lives until then, unless it says so again.

        Repeated: fine.
        """

    async def end_runner(self, runner: str, ending: TaskEnding, *, now: int) -> None:
        """Note that a runner lives no more: others may adopt its tasks, and those that nobody can run again end.

        Repeated: fine.
        """

    async def list_run(self, runner: str) -> set[bytes]:
        """Return the tasks that a runner runs, by their fingerprints: neither over nor adopted by another one."""

    async def find_orphans(self, place: str, *, now: int) -> bool:
        """Say whether there are tasks of this place whose runner lives no more."""

    async def adopt_tasks(
        self, place: str, ending: TaskEnding, *, runner: str, now: int, limit: int, most_runs: int
    ) -> Adoption:
        """Give a runner up to `limit` tasks whose runner lives no more, to run them again.

        Those that cannot be run again, or were begun `most_runs` times, end instead. What was asked and not answered is
        open no more: the next run asks again.

        Repeated: none of the first call are among them.
        """

    async def list_adopted(self, runner: str) -> list[Task]:
        """Return the tasks that a runner was given by `adopt_tasks` and that are not over.

        For who does not know what came of that.
        """

    async def delete_tasks(self, *, before: int, limit: int) -> int:
        """Delete tasks that expired, with all that is theirs."""

    async def delete_runners(self, *, before: int, limit: int) -> int:
        """Delete runners that live no more and have no tasks left."""
