"""The tasks of one endpoint that run in this process: begun, asked, ended, and how they ended."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from gatepost.extensions.tasks import kept_requests, wire
from gatepost.extensions.tasks.access import access_id_of, taken_back
from gatepost.extensions.tasks.endings import LEFT, OUT_OF_TIME, STOPPED, UNTOLD, ending_after, ending_with
from gatepost.extensions.tasks.kept_run import KeptRun, keep_ending
from gatepost.extensions.tasks.limits import TaskLimits
from gatepost.extensions.tasks.run import Kept, Run, TaskExchange, value_of
from gatepost.extensions.tasks.sealing import TaskSeal
from gatepost.extensions.tasks.watching import Watches
from gatepost.extensions.tasks.wire import TooManyTasks
from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import InvalidParams
from gatepost.protocol.messages import Request
from gatepost.protocol.versions import Revision
from gatepost.resource.principal import Principal
from gatepost.server.calls.cancellation import is_cancellation
from gatepost.server.calls.exchange import Exchange
from gatepost.server.calls.waiters import Waiters
from gatepost.server.extension_host import ExtensionHost
from gatepost.server.methods.served_server import Method, ServedServer
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.tasks import Task, TaskEnding, TaskStatus, TaskView
from gatepost.telemetry import conventions
from gatepost.telemetry.catalogue import TASKS_BEGUN, TASKS_ENDED, Metric
from gatepost.tokens.opaque import SecretKind, fingerprint, looks_like, mint

if TYPE_CHECKING:
    from gatepost.server.declared.extension_options import TaskOptions

LEASE_SECONDS: Final = 60
"""After which other processes take this one for dead, unless it says that it lives."""
_log: Final = logging.getLogger("gatepost.tasks")


@dataclass(slots=True, eq=False)
class TaskRuns:
    """Those of one served server."""

    served: ServedServer
    call: Method
    """Answers `tools/call`."""
    host: ExtensionHost
    limits: TaskLimits
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    """Waits between two tries."""
    monotonic: Callable[[], float] = time.monotonic
    """Seconds that never go back."""
    runner: str = field(init=False)
    """What this process is called where others read it."""
    running: dict[bytes, Run] = field(default_factory=dict, init=False)
    waiters: Waiters = field(default_factory=Waiters, init=False)
    woken: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    """Set when there is something to look at, now or from now on (`Upkeep`)."""
    watches: Watches = field(init=False)
    alive_until: int = field(default=0, init=False)
    """Until when others take this process for alive, seconds UTC."""
    alive_at: float = field(default=0.0, init=False)
    """When they were told last, by the clock that never goes back."""
    _of_person: Counter[str] = field(default_factory=Counter, init=False)
    _background: set[asyncio.Task[Any]] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        self.runner = self._new_runner()
        self.watches = Watches(self.woken.set)

    # What a caller asks for.

    async def begin(self, request: Request, revision: Revision, exchange: Exchange, options: TaskOptions) -> Any:
        """Answer a call as a task, or as what it is if it ends before it would become one.

        Raises:
            TooManyTasks: it is to be a task from the beginning, and there is no room.
            StoreUnavailable: likewise, and it cannot be kept.
            Exception: whatever the call raises that has ended without becoming one.
        """
        run = Run(TaskExchange(exchange), person=_person(exchange.principal))
        if options.after == 0:
            return await self._become(run, request, revision, options)
        decided: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        told = asyncio.Event()

        async def tell() -> bool:
            told.set()
            return await asyncio.shield(decided)

        run.exchange.told = tell
        run.work = self._start(run, request, revision)
        waiting = asyncio.get_running_loop().create_task(told.wait())
        try:
            await asyncio.wait([run.work, waiting], timeout=options.after, return_when=asyncio.FIRST_COMPLETED)
            if not run.work.done():
                run.exchange.decided = decided
                with suppress(TooManyTasks, StoreUnavailable):
                    answer = await self._become(run, request, revision, options)
                    decided.set_result(True)
                    return answer
                decided.set_result(False)
            return await asyncio.shield(run.work)
        except asyncio.CancelledError:
            run.stop(LEFT)
            raise
        finally:
            waiting.cancel()
            if not decided.done():
                decided.set_result(False)

    async def find(self, task_id: str, exchange: Exchange) -> tuple[bytes, TaskView]:
        """Return a task of the caller's, under its fingerprint; raises InvalidParams: they have no such task."""
        if not looks_like(SecretKind.TASK, task_id):
            raise wire.unknown_task()
        key = fingerprint(task_id)
        view = await self.host.store.tasks.find_task(key, owner=self.owner_of(exchange.principal), now=self.host.now())
        if view is None:
            raise wire.unknown_task()
        return key, TaskSeal(task_id).opened_view(view)

    async def find_for_watch(self, task_id: str, exchange: Exchange) -> TaskView | None:
        """Return a task of somebody who listens; None where they have none, or no access any more."""
        principal = exchange.principal
        if principal is not None and principal.expires_at is not None and principal.expires_at <= self.host.now():
            return None
        try:
            access_id = access_id_of(principal)
            if access_id is not None and await taken_back([access_id], self.host.store):
                return None
            return (await self.find(task_id, exchange))[1]
        except (InvalidParams, StoreUnavailable):
            return None

    async def answer(self, task_id: str, responses: Mapping[str, bytes], exchange: Exchange) -> None:
        """Take what the client answers to what its task asked."""
        key, owner, now = fingerprint(task_id), self.owner_of(exchange.principal), self.host.now()
        sealed = TaskSeal(task_id).sealed("response", responses, self.host.random_bytes)
        if not await self.host.store.tasks.answer(key, sealed, owner=owner, now=now):
            raise wire.unknown_task()
        self.waiters.wake(key)
        self.watches.changed(key)

    async def cancel(self, key: bytes, exchange: Exchange) -> None:
        """Cancel a task of the caller's, unless it is over."""
        owner, now = self.owner_of(exchange.principal), self.host.now()
        if not await self.host.store.tasks.cancel_task(key, owner=owner, now=now):
            raise wire.unknown_task()
        self.watches.changed(key)
        self.stop_cancelled(key)

    def owner_of(self, principal: Principal | None) -> str:
        """Return whom a task is bound to: a person with the app they call with; everybody where nobody has a token."""
        who = (
            [] if principal is None else [principal.resource, principal.issuer, principal.subject, principal.client_id]
        )
        return json.dumps([self.host.place, *who])

    # A run from its beginning to its end.

    async def _become(self, run: Run, request: Request, revision: Revision, options: TaskOptions) -> dict[str, Any]:
        """Keep a run as a task, have it run on whatever becomes of the request, and return the `CreateTaskResult`."""
        keeping = self.spawn(self._keep(run, request, revision, options))
        try:
            return await asyncio.shield(keeping)
        except asyncio.CancelledError:
            # Nobody will ever learn the id of it.
            keeping.add_done_callback(lambda done: run.stop(LEFT) if _look_at(done) else None)
            raise

    async def _keep(self, run: Run, request: Request, revision: Revision, options: TaskOptions) -> dict[str, Any]:
        principal = run.exchange.principal
        self._check_room(run.person)
        self._of_person[run.person] += 1
        try:
            await self.be_alive()
            task_id = mint(SecretKind.TASK, self.host.random_bytes)
            task = self._task(task_id, run, request, revision, options)
            most = self.limits.of_everybody if principal is None else self.limits.of_person
            if not await self._begin_in_store(task, most):
                raise TooManyTasks(f"At most {most} tasks are kept; new ones have to wait.")  # noqa: TRY301 - as any error
        except BaseException:
            self._leave(run)
            raise
        self._count(TASKS_BEGUN, task.tool)
        self.take(run, task, TaskSeal(task_id), request, revision)
        return wire.created(task, task_id)

    def _task(self, task_id: str, run: Run, request: Request, revision: Revision, options: TaskOptions) -> Task:
        principal, host, now = run.exchange.principal, self.host, self.host.now()
        kept: bytes | None = None
        if options.resumable:
            kept = kept_requests.written(
                task_id, request, revision, run.exchange, key_ring=host.key_ring, random_bytes=host.random_bytes
            )
        return Task(
            fingerprint(task_id),
            host.place,
            self.owner_of(principal),
            json.dumps([host.place, run.person]),
            request.params["name"],
            created_at=now,
            expires_at=now + max(1, int(options.ttl)),
            poll_interval=max(1, int(options.poll_interval * 1000)),
            runner=self.runner,
            updated_at=now,
            access_id=access_id_of(principal),
            request=kept,
        )

    async def _begin_in_store(self, task: Task, most: int) -> bool:
        try:
            return await self.host.store.tasks.begin_task(task, most=most)
        except StoreUnavailable:
            # It may be there all the same. Nobody runs it then, and nobody has its id.
            self.spawn(keep_ending(self, task.task_fingerprint, self.runner, ending_with(UNTOLD)))
            raise

    def take(self, run: Run, task: Task, seal: TaskSeal, request: Request, revision: Revision) -> None:
        """Run a task that is kept as this process's; it may be at work already."""
        run.key, run.tool, run.access_id = task.task_fingerprint, task.tool, task.access_id
        if not self.running:
            self.woken.set()
        self.running[run.key] = run
        is_resumable = task.request is not None
        run.exchange.kept = KeptRun(self, run, seal, self.runner, is_resumable=is_resumable)
        loop = asyncio.get_running_loop()
        left = max(1, task.expires_at - self.host.now())
        run.timer = loop.call_later(left, run.stop, ending_with(OUT_OF_TIME))
        if run.work is None:
            run.work = self._start(run, request, revision)
        self.spawn(self._conclude(run, run.exchange.kept))

    async def take_again(self, task: Task) -> None:
        """Run a task again that another process left behind; raises ValueError: it cannot be."""
        task_id, request, revision, exchange = kept_requests.read(task, self.host.key_ring)
        seal = TaskSeal(task_id)
        run = Run(TaskExchange(exchange), person=_person(exchange.principal))
        values = seal.opened("value", await self.host.store.tasks.find_values(task.task_fingerprint))
        run.exchange.memory.update({name: value_of(value) for name, value in values.items()})
        self._of_person[run.person] += 1
        _log.info("a task of %s is run again", task.tool)
        self.take(run, task, seal, request, revision)

    def _start(self, run: Run, request: Request, revision: Revision) -> asyncio.Task[Any]:
        async def work() -> Any:
            return await run.scope.run(self.call(self.served, request, revision, run.exchange))

        task = asyncio.get_running_loop().create_task(work())
        task.add_done_callback(_look_at)
        return task

    async def _conclude(self, run: Run, kept: Kept) -> None:
        """Wait until a task has ended, and keep how."""
        try:
            ending = await self._ending_of(run)
            if ending is not None:
                if await kept.finish(ending):
                    self.count_ended(run.tool, ending.status)
                return
            self._forget(run)
            await kept.let_go()
            if run.is_cancelled_there:
                self.count_ended(run.tool, TaskStatus.CANCELLED)
        finally:
            self._forget(run)

    async def _ending_of(self, run: Run) -> TaskEnding | None:
        """Return how a run ends; None where the store says so, or another process will."""
        assert run.work is not None  # noqa: S101 - it was begun by who called this; tells mypy
        try:
            return ending_after(await run.work, self.limits.result_bytes)
        except BaseException as error:
            if run.scope.is_cancelled:
                return run.stopped_with
            if is_cancellation(error):
                raise  # the loop ends
            return ending_with(error, self.host.random_bytes)

    def _forget(self, run: Run) -> None:
        # By now the same task may run here again.
        if self.running.get(run.key) is run:
            del self.running[run.key]
            self._leave(run)
        if run.timer is not None:
            run.timer.cancel()

    def count_ended(self, tool: str, status: TaskStatus) -> None:
        """Count a task that this process has seen end."""
        self._count(TASKS_ENDED, tool, ending=status.value)

    def _count(self, metric: Metric, tool: str, **labels: str) -> None:
        if self.host.telemetry is not None:
            self.host.telemetry.count(metric, {conventions.TOOL: tool, **labels})

    def _leave(self, run: Run) -> None:
        self._of_person[run.person] -= 1
        if not self._of_person[run.person]:
            del self._of_person[run.person]

    def _check_room(self, person: str) -> None:
        if len(self.running) >= self.limits.running:
            raise TooManyTasks("This server runs as many tasks as it can; try again later.")
        if person and self._of_person[person] >= self.limits.running_of_person:
            raise TooManyTasks(f"At most {self.limits.running_of_person} tasks of one person run at once.")

    # What else goes on.

    async def be_alive(self) -> None:
        """Say that this process lives, if it is time for that; raises StoreUnavailable."""
        now, at = self.host.now(), self.monotonic()
        if self.alive_until - now < LEASE_SECONDS * 2 // 3:
            await self.host.store.tasks.renew_runner(self.runner, until=now + LEASE_SECONDS)
            self.alive_until, self.alive_at = now + LEASE_SECONDS, at

    @property
    def is_overdue(self) -> bool:
        """Whether others may take this process for dead: it was not renewed in time, as when it stood still."""
        if not self.alive_until:
            return False
        return self.host.now() >= self.alive_until or self.monotonic() - self.alive_at > LEASE_SECONDS * 5 / 6

    async def stop_what_is_anothers(self) -> None:
        """Stop what runs here and has been adopted by another process, or is over; raises StoreUnavailable."""
        before = tuple(self.running.items())
        own = await self.host.store.tasks.list_run(self.runner)
        for key, run in before:
            if key not in own and self.running.get(key) is run:
                run.stop()

    def stop_what_may_be_anothers(self, seconds: float) -> None:
        """Stop all that runs here, each within so many seconds, once others may take this process for dead.

        From then on it is another one to them, whose tasks those are not.
        """
        if self.running and self.monotonic() - self.alive_at > LEASE_SECONDS * 5 / 6:
            _log.error("%d tasks are stopped: the store cannot be told that they still run", len(self.running))
            self.runner, self.alive_until = self._new_runner(), 0
            for run in list(self.running.values()):
                run.stop(clean_up_seconds=seconds)

    def _new_runner(self) -> str:
        return self.host.random_bytes(16).hex()

    def stop_cancelled(self, key: bytes) -> None:
        """Stop a task that was cancelled in the store, if it runs here."""
        run = self.running.get(key)
        if run is not None:
            run.is_cancelled_there = True
            run.stop()

    async def close(self, seconds: float) -> None:
        """End all that runs here, each within so many seconds; what can be run again is left to others."""
        for run in list(self.running.values()):
            run.stop(clean_up_seconds=seconds)
        pending = [task for task in self._background if not task.done()]
        if pending:
            await asyncio.wait(pending, timeout=seconds + 1)
        for task in pending:
            task.cancel()
        if self.alive_until:
            with suppress(StoreUnavailable):
                await self.host.store.tasks.end_runner(self.runner, ending_with(STOPPED), now=self.host.now())

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something that `close` waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task


def _look_at(done: asyncio.Task[Any]) -> bool:
    """Say whether it has a result; what it raised is known elsewhere, or was asked for."""
    return not done.cancelled() and done.exception() is None


def _person(principal: Principal | None) -> str:
    return "" if principal is None else json.dumps([principal.issuer, principal.subject])
