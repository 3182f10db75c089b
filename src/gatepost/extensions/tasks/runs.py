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
from gatepost.extensions.tasks.endings import LEFT, OUT_OF_TIME, STOPPED, ending_after, ending_with
from gatepost.extensions.tasks.kept_run import KeptRun
from gatepost.extensions.tasks.run import Run, TaskExchange, value_of
from gatepost.extensions.tasks.watching import Watches
from gatepost.extensions.tasks.wire import TooManyTasks
from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import InvalidParams
from gatepost.protocol.messages import Request
from gatepost.protocol.versions import Revision
from gatepost.resource.principal import Principal
from gatepost.server.calls.exchange import Exchange
from gatepost.server.calls.waiters import Waiters
from gatepost.server.extension_host import ExtensionHost
from gatepost.server.methods.served_server import Method, ServedServer
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.stores.contract.tasks import Task, TaskEnding, TaskView
from gatepost.tokens.opaque import SecretKind, fingerprint, looks_like, mint

if TYPE_CHECKING:
    from gatepost.server.declared.extension_options import TaskOptions

LEASE_SECONDS: Final = 60
"""After which other processes take this one for dead, unless it says that it lives."""
KEPT_SECONDS: Final = 300
"""How long a result is kept at least, however late it came."""
MOST_RUNNING: Final = 10_000
"""Tasks that run in one process, of one endpoint."""
MOST_RUNNING_OF_PERSON: Final = 100
MOST_OF_PERSON: Final = 1_000
"""Tasks that are kept, running or not."""
MOST_OF_EVERYBODY: Final = 10_000
"""Tasks that are kept where nobody has a token; they count together."""
LARGEST_RESULT: Final = 4 * 1024 * 1024
"""Bytes."""
_TRIES: Final = 8
"""How often it is tried to keep how a task ended, in two minutes."""

_log: Final = logging.getLogger("gatepost.tasks")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLimits:
    """How much there may be of what."""

    running: int = MOST_RUNNING
    running_of_person: int = MOST_RUNNING_OF_PERSON
    of_person: int = MOST_OF_PERSON
    of_everybody: int = MOST_OF_EVERYBODY
    result_bytes: int = LARGEST_RESULT


DEFAULT_LIMITS: Final = TaskLimits()


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
        return key, view

    async def find_for_watch(self, task_id: str, exchange: Exchange) -> TaskView | None:
        """Return a task of somebody who listens; None where they have none, or no access any more."""
        principal = exchange.principal
        if principal is not None and principal.expires_at is not None and principal.expires_at <= self.host.now():
            return None
        try:
            grant_id = None if principal is None else principal.grant_id
            if grant_id is not None and await self.host.store.grants.list_revoked([grant_id]):
                return None
            return (await self.find(task_id, exchange))[1]
        except (InvalidParams, StoreUnavailable):
            return None

    async def answer(self, key: bytes, responses: Mapping[str, bytes], exchange: Exchange) -> None:
        """Take what the client answers to what its task asked."""
        owner, now = self.owner_of(exchange.principal), self.host.now()
        if not await self.host.store.tasks.answer(key, responses, owner=owner, now=now):
            raise wire.unknown_task()
        self.waiters.wake(key)
        self.watches.changed(key)

    async def cancel(self, key: bytes, exchange: Exchange) -> None:
        """Cancel a task of the caller's, unless it is over."""
        owner, now = self.owner_of(exchange.principal), self.host.now()
        if not await self.host.store.tasks.cancel_task(key, owner=owner, now=now):
            raise wire.unknown_task()
        self.watches.changed(key)
        await self.stop_cancelled(key)

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
        principal, now = run.exchange.principal, self.host.now()
        self._check_room(run.person)
        self._of_person[run.person] += 1
        try:
            await self.be_alive()
            task_id = mint(SecretKind.TASK, self.host.random_bytes)
            task = Task(
                fingerprint(task_id),
                self.host.place,
                self.owner_of(principal),
                json.dumps([self.host.place, run.person]),
                request.params["name"],
                created_at=now,
                expires_at=now + max(1, int(options.ttl)),
                poll_interval=max(1, int(options.poll_interval * 1000)),
                runner=self.runner,
                updated_at=now,
                grant_id=None if principal is None else principal.grant_id,
                request=kept_requests.written(request, revision, run.exchange) if options.resumable else None,
            )
            most = self.limits.of_everybody if principal is None else self.limits.of_person
            if not await self.host.store.tasks.begin_task(task, most=most):
                raise TooManyTasks(f"At most {most} tasks are kept; new ones have to wait.")  # noqa: TRY301 - as any error
        except BaseException:
            self._leave(run)
            raise
        self.take(run, task, request, revision)
        return wire.created(task, task_id)

    def take(self, run: Run, task: Task, request: Request, revision: Revision) -> None:
        """Run a task that is kept as this process's; it may be at work already."""
        run.key, run.grant_id = task.task_fingerprint, task.grant_id
        if not self.running:
            self.woken.set()
        self.running[run.key] = run
        run.exchange.kept = KeptRun(self, run.key)
        loop = asyncio.get_running_loop()
        left = max(1, task.expires_at - self.host.now())
        run.timer = loop.call_later(left, run.stop, ending_with(OUT_OF_TIME))
        if run.work is None:
            run.work = self._start(run, request, revision)
        self.spawn(self._conclude(run))

    async def take_again(self, task: Task) -> None:
        """Run a task again that another process left behind; raises ValueError: it cannot be."""
        request, revision, exchange = kept_requests.read(task)
        run = Run(TaskExchange(exchange), person=_person(exchange.principal))
        values = await self.host.store.tasks.find_values(task.task_fingerprint)
        run.exchange.memory.update({name: value_of(value) for name, value in values.items()})
        self._of_person[run.person] += 1
        _log.info("a task of %s is run again", task.tool)
        self.take(run, task, request, revision)

    def _start(self, run: Run, request: Request, revision: Revision) -> asyncio.Task[Any]:
        async def work() -> Any:
            return await run.scope.run(self.call(self.served, request, revision, run.exchange))

        task = asyncio.get_running_loop().create_task(work())
        task.add_done_callback(_look_at)
        return task

    async def _conclude(self, run: Run) -> None:
        """Wait until a task has ended, and keep how."""
        assert run.work is not None  # noqa: S101 - it was begun by who called this; tells mypy
        try:
            ending = ending_after(await run.work, self.limits.result_bytes)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and not run.scope.is_cancelled:
                raise  # the loop ends
            stopped = run.scope.is_cancelled
            ending_of = run.stopped_with if stopped else ending_with(error, self.host.random_bytes)
            if ending_of is None:
                await self._let_go(run)
                return
            ending = ending_of
        for number in range(_TRIES):
            if await self._finish(run, ending):
                break
            await self.pause(min(2**number, 30))
        self._forget(run)

    async def _finish(self, run: Run, ending: TaskEnding) -> bool:
        """Keep how a task ended; False if it is to be tried again."""
        now = self.host.now()
        try:
            await self.host.store.tasks.finish_task(
                run.key, ending, runner=self.runner, now=now, kept_until=now + KEPT_SECONDS
            )
        except StoreUnavailable as error:
            _log.warning("how a task ended cannot be kept yet: %s", error)
            return False
        self.watches.changed(run.key)
        return True

    async def _let_go(self, run: Run) -> None:
        """Forget a run whose end the store knows."""
        self._forget(run)
        with suppress(StoreUnavailable):
            await self.host.store.tasks.forget_news(self.runner, [run.key])

    def _forget(self, run: Run) -> None:
        if self.running.pop(run.key, None) is not None:
            self._leave(run)
        if run.timer is not None:
            run.timer.cancel()

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

    async def stop_cancelled(self, key: bytes) -> None:
        """Stop a task that was cancelled in the store, if it runs here."""
        run = self.running.get(key)
        if run is not None:
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
