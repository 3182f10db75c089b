"""What a process does for its tasks now and then: it says that it lives, and looks at what others have done."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import field, replace
from typing import Final

from gatepost.extensions.tasks.access import taken_back
from gatepost.extensions.tasks.endings import ACCESS_TAKEN, LOST, UNKNOWN_TOOL, ending_with
from gatepost.extensions.tasks.run import Run
from gatepost.extensions.tasks.runs import LEASE_SECONDS, TaskRuns
from gatepost.late_dataclass import dataclass
from gatepost.server.calls.waiters import HEARD_TIMES, wait
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.tasks import Task, TaskEnding, TaskStatus
from gatepost.stores.contract.wakeups import Wakeup, WakeupKind

POLL_SECONDS: Final = 1.0
"""Between two looks while others are not heard, where something runs or somebody listens."""
_QUIET_SECONDS: Final = LEASE_SECONDS / 3
"""Between two looks at what was left behind, and two times of saying that one lives."""
MOST_RUNS: Final = 3
"""How often a task is begun: one that ends its process would end all of them."""
_AT_ONCE: Final = 100
_CLEAN_UP_SECONDS: Final = 5.0

_log: Final = logging.getLogger("gatepost.tasks")


@dataclass(slots=True, eq=False)
class Upkeep:
    """That of one served server."""

    runs: TaskRuns
    _is_access_doubtful: bool = field(default=True, init=False)
    _quiet_until: float = field(default=0.0, init=False)
    _is_failing: bool = field(default=False, init=False)
    _adopted: deque[Task] = field(default_factory=deque, init=False)
    """This process's by now, and still to be run again or ended."""
    _is_adoption_doubtful: bool = field(default=False, init=False)
    """Whether the store may have given this process more than it knows of."""

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Look now and then for as long as the context lasts, and end what runs then."""
        ears = self.runs.host.ears
        ears.add(self.hear)
        task = asyncio.create_task(self._go_on(), name="gatepost-tasks")
        try:
            yield
        finally:
            ears.discard(self.hear)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self.runs.close(_CLEAN_UP_SECONDS)

    def hear(self, wakeup: Wakeup | None) -> None:
        """Look at what another process says that it has done, or at everything."""
        if wakeup is None or wakeup.kind is WakeupKind.ACCESS:
            self._is_access_doubtful = True
            self.runs.woken.set()
        if wakeup is None:
            for key in self.runs.watches.keys:
                self.runs.watches.changed(key)
        elif wakeup.kind is WakeupKind.TASK:
            key = bytes.fromhex(wakeup.name)
            self.runs.watches.changed(key)
            if key in self.runs.running:
                self.runs.woken.set()

    async def look(self) -> None:
        """Do what there is to do; raises StoreUnavailable, and then it is still to be done."""
        store = self.runs.host.store
        is_quiet_over = self.runs.monotonic() >= self._quiet_until
        if self.runs.running:
            is_own_doubtful = is_quiet_over or self.runs.is_overdue
            await self.runs.be_alive()
            await self._look_at_news()
            if is_own_doubtful and not store.is_lost_at_exit:
                await self.runs.stop_what_is_anothers()
            if self._is_access_doubtful or is_quiet_over:
                await self._look_at_access()
        if self.runs.watches.keys and not store.is_lost_at_exit:
            self.runs.watches.note_versions(await store.tasks.list_versions(self.runs.watches.keys))
        if is_quiet_over:
            if not store.is_lost_at_exit:
                await self._adopt()
            self._quiet_until = self.runs.monotonic() + _QUIET_SECONDS

    async def _go_on(self) -> None:
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - without this task the process would be taken for dead, and go on
                if not self._is_failing:
                    is_known = isinstance(error, StoreUnavailable)
                    _log.warning("tasks cannot be looked at: %s", error, exc_info=None if is_known else error)
                self._is_failing = self._is_access_doubtful = True
                self.runs.stop_what_may_be_anothers(_CLEAN_UP_SECONDS)
            else:
                self._is_failing = False
            await wait(self.runs.woken, self._seconds())
            self.runs.woken.clear()

    def _seconds(self) -> float:
        store = self.runs.host.store
        if store.is_lost_at_exit or not (self.runs.running or self.runs.watches.keys):
            return _QUIET_SECONDS
        return POLL_SECONDS * (HEARD_TIMES if store.wakeups.are_heard else 1)

    async def _look_at_news(self) -> None:
        runs, store = self.runs, self.runs.host.store.tasks
        while news := await store.list_news(runs.runner, limit=_AT_ONCE):
            # First, so that what comes while it is looked at is news again.
            await store.forget_news(runs.runner, [key for key, _ in news])
            for key, status in news:
                if status.is_over:
                    runs.stop_cancelled(key)
                else:
                    runs.waiters.wake(key)

    async def _look_at_access(self) -> None:
        """Stop what runs for somebody whose access was taken back."""
        self._is_access_doubtful = False
        by_access: dict[str, list[Run]] = {}
        for run in self.runs.running.values():
            if run.access_id is not None:
                by_access.setdefault(run.access_id, []).append(run)
        for access_id in await taken_back(by_access.keys(), self.runs.host.store):
            for run in by_access[access_id]:
                _log.info("a task of %s is cancelled: the access of its caller was taken back", run.tool)
                run.stop(ACCESS_TAKEN)

    async def _adopt(self) -> None:
        """Go on with what another process left behind, or end it."""
        runs, store, now = self.runs, self.runs.host.store, self.runs.host.now()
        if self._is_adoption_doubtful:
            known = runs.running.keys() | {task.task_fingerprint for task in self._adopted}
            given = await store.tasks.list_adopted(runs.runner)
            self._adopted += [task for task in given if task.task_fingerprint not in known]
            self._is_adoption_doubtful = False
        await self._take_adopted()
        if not await store.tasks.find_orphans(runs.host.place, now=now):
            return
        await runs.be_alive()
        self._is_adoption_doubtful = True
        room = max(1, min(_AT_ONCE, runs.limits.running - len(runs.running)))
        adoption = await store.tasks.adopt_tasks(
            runs.host.place, ending_with(LOST), runner=runs.runner, now=now, limit=room, most_runs=MOST_RUNS
        )
        self._is_adoption_doubtful = False
        self._adopted += [replace(task, runner=runs.runner) for task in adoption.to_run]
        for task in adoption.ended:
            runs.count_ended(task.tool, TaskStatus.FAILED)
        await self._take_adopted()

    async def _take_adopted(self) -> None:
        """Run what was adopted; each is left only once it runs or has ended, since nobody else will look at it."""
        while self._adopted:
            task = self._adopted[0]
            ids = set[str]() if task.access_id is None else {task.access_id}
            if task.runner == self.runs.runner:
                await self._take_again(task, is_revoked=bool(await taken_back(ids, self.runs.host.store)))
            self._adopted.popleft()

    async def _take_again(self, task: Task, *, is_revoked: bool) -> None:
        runs = self.runs
        ending: TaskEnding | None = ACCESS_TAKEN if is_revoked else None
        if task.tool not in runs.served.tools.known:
            ending = ending_with(UNKNOWN_TOOL)
        if ending is None:
            try:
                await runs.take_again(task)
            except ValueError as error:
                _log.warning("a task of %s cannot be run again: %s", task.tool, error)
                ending = ending_with(LOST)
            else:
                return
        now = runs.host.now()
        if await runs.host.store.tasks.finish_task(
            task.task_fingerprint, ending, runner=runs.runner, now=now, kept_until=now
        ):
            runs.count_ended(task.tool, ending.status)
