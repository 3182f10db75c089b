"""The extension: which calls become tasks, and the methods by which clients ask for them (ext-tasks, SEP-2663)."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, ClassVar, Final
from weakref import WeakKeyDictionary

from gatepost.extensions.tasks import wire
from gatepost.extensions.tasks.limits import DEFAULT_LIMITS, TaskLimits
from gatepost.extensions.tasks.options import OPTION
from gatepost.extensions.tasks.run import TaskExchange
from gatepost.extensions.tasks.runs import TaskRuns
from gatepost.extensions.tasks.settings import AFTER, PER_USER, TASKS
from gatepost.extensions.tasks.upkeep import Upkeep
from gatepost.extensions.tasks.watching import MOST_IDS, TaskWatch
from gatepost.protocol.errors import InvalidParams, ProtocolError
from gatepost.protocol.json_encoding import encode
from gatepost.protocol.messages import Request
from gatepost.protocol.versions import Revision
from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange
from gatepost.server.calls.request_state import input_responses_of
from gatepost.server.declared.extension_options import TaskOptions
from gatepost.server.declared.tools import Tool
from gatepost.server.errors import InsufficientScope
from gatepost.server.extension import Extension, Stage, Wrap, missing_extension, settings_in
from gatepost.server.extension_host import ExtensionHost
from gatepost.server.methods.served_server import Method, ServedServer, check_scopes, string_in
from gatepost.server.methods.tools import call_tool, check_call
from gatepost.server.target import Result
from gatepost.stores.contract.tasks import TaskView
from gatepost.telemetry.catalogue import TASKS_RUNNING
from gatepost.telemetry.seam import NO_LABELS
from gatepost.tokens.sealing import KeyRing

_MOST_RESPONSES: Final = 100


class Tasks(Extension):
    """Calls that are answered before they end, for clients that know tasks.

    A server uses it as soon as one of its tools says `task=`; `server.use(Tasks(…))` says more.

    Args:
        after: after how many seconds a call becomes a task whose tool says nothing of tasks; None: never, unless the
            operator says so (`MCP_TASKS_AFTER_SECONDS`).
        limits: how much there may be of what; None for what is usual, and `MCP_TASKS_PER_USER`.
    """

    identifier = TASKS
    stage: ClassVar[Stage] = "beta"
    wraps_handshake = True
    named_by: ClassVar[Mapping[str, str]] = dict.fromkeys(("tasks/get", "tasks/update", "tasks/cancel"), "taskId")

    def __init__(self, *, after: float | None = None, limits: TaskLimits | None = None) -> None:
        self._after = after
        self._limits = limits
        self._call: Method = call_tool
        self._runs: WeakKeyDictionary[ServedServer, TaskRuns] = WeakKeyDictionary()

    def methods(self) -> Mapping[str, Method]:
        return {"tasks/get": self._get, "tasks/update": self._update, "tasks/cancel": self._cancel}

    def wraps(self) -> Mapping[str, Wrap]:
        return {"tools/call": self._around}

    def _around(self, call: Method) -> Method:
        async def answer(served: ServedServer, request: Request, revision: Revision, exchange: Exchange) -> Result:
            options = self._options_of(served, request.params.get("name"))
            if options is None:
                return await call(served, request, revision, exchange)
            if not revision.modern or settings_in(self, request, exchange) is None:
                if options.required:
                    raise missing_extension(self)
                return await call(served, request, revision, exchange)
            try:
                check_call(served, request, revision, exchange)
            except (ProtocolError, InsufficientScope):
                raise
            except Exception:  # noqa: BLE001 - what a validator says of the arguments becomes a result there, and no task
                return await call(served, request, revision, exchange)
            runs = self._runs.get(served)
            if runs is None:
                return await call(served, request, revision, exchange)
            result: Result = await runs.begin(request, revision, exchange, options)
            return result

        self._call = call
        return answer

    def _options_of(self, served: ServedServer, name: Any) -> TaskOptions | None:
        """Return how the tool of a call is a task; None if it is none."""
        tool = served.tools.there.get(name) if type(name) is str else None
        if tool is None:
            return None
        options: TaskOptions | None = tool.of_extensions.get(OPTION)
        if options is None and (after := self._after_of(served)) is not None:
            return TaskOptions(after=after)
        return options

    def _after_of(self, served: ServedServer) -> float | None:
        set_there = None if served.host is None else served.host.settings.get(TASKS, {}).get(AFTER)
        after: float | None = self._after if set_there is None else set_there
        return after

    def _limits_at(self, host: ExtensionHost) -> TaskLimits:
        """Return the limits, with those that the operator sets where the author says nothing."""
        per_user = host.settings.get(TASKS, {}).get(PER_USER)
        return self._limits or (DEFAULT_LIMITS if per_user is None else TaskLimits(of_person=per_user))

    @asynccontextmanager
    async def lifespan(self, served: ServedServer) -> AsyncIterator[None]:
        """Have tasks run, in the store of the deployment or else in memory."""
        async with AsyncExitStack() as stack:
            host = served.host
            if host is None:
                host = await _in_memory(stack)
            runs = TaskRuns(served, self._call, host, self._limits_at(host))
            if host.telemetry is not None:
                host.telemetry.observe(TASKS_RUNNING, lambda: [(NO_LABELS, len(runs.running))])
            await stack.enter_async_context(Upkeep(runs).going_on())
            self._runs[served] = runs
            try:
                yield
            finally:
                del self._runs[served]

    async def _get(self, served: ServedServer, request: Request, _revision: Revision, exchange: Exchange) -> Result:
        """Answer `tasks/get`."""
        _, view = await self._found(served, request, exchange)
        return wire.detailed(view, request.params["taskId"])

    async def _update(self, served: ServedServer, request: Request, _revision: Revision, exchange: Exchange) -> Result:
        """Answer `tasks/update`."""
        responses = input_responses_of(request.params)
        if "inputResponses" not in request.params or len(responses) > _MOST_RESPONSES:
            raise InvalidParams(f'"params.inputResponses" must have the responses, at most {_MOST_RESPONSES}.')
        _, view = await self._found(served, request, exchange)
        # What nobody asked, or was answered before, counts for nothing, and costs no write.
        written = {name: encode(response) for name, response in responses.items() if name in view.open_requests}
        if written:
            await self._of(served).answer(request.params["taskId"], written, exchange)
        return {}

    async def _cancel(self, served: ServedServer, request: Request, _revision: Revision, exchange: Exchange) -> Result:
        """Answer `tasks/cancel`."""
        key, view = await self._found(served, request, exchange)
        if not view.task.status.is_over:
            await self._of(served).cancel(key, exchange)
        return {}

    async def _found(self, served: ServedServer, request: Request, exchange: Exchange) -> tuple[bytes, TaskView]:
        """Return the task that a request is about; raises InvalidParams, or InsufficientScope as its tool would."""
        key, view = await self._of(served).find(string_in(request.params, "taskId"), exchange)
        tool: Tool | None = served.tools.known.get(view.task.tool)
        if tool is not None:
            check_scopes(exchange, tool)
        elif exchange.granted is not None:
            # Nobody knows here which scopes its tool needs, as in a process that has other tools already.
            raise wire.unknown_task()
        return key, view

    async def watch(self, served: ServedServer, request: Request, exchange: Exchange) -> TaskWatch | None:
        """Return what tells of the tasks that `taskIds` names, of those that are the caller's."""
        asked = request.params.get("notifications")
        if type(asked) is not dict or "taskIds" not in asked:
            return None
        if settings_in(self, request, exchange) is None:
            raise missing_extension(self)
        ids = asked["taskIds"]
        if type(ids) is not list or len(ids) > MOST_IDS or not all(type(each) is str for each in ids):
            raise InvalidParams(f'"params.notifications.taskIds" must list at most {MOST_IDS} ids.')
        runs = self._of(served)

        async def find(task_id: str) -> TaskView | None:
            return await runs.find_for_watch(task_id, exchange)

        found: dict[bytes, str] = {}
        for task_id in ids:
            try:
                key, view = await runs.find(task_id, exchange)
            except InvalidParams:
                continue  # left out like what does not exist
            tool = served.tools.known.get(view.task.tool)
            if exchange.granted is None or (tool is not None and tool.scopes <= exchange.granted):
                found[key] = task_id
        return TaskWatch(runs.watches, found, find)

    def _of(self, served: ServedServer) -> TaskRuns:
        runs = self._runs.get(served)
        if runs is None:
            raise wire.unknown_task()
        return runs


async def continue_as_task(ctx: Context) -> bool:
    """Have the call be a task from here on: its client gets the handle now, and what follows may take its time.

    What the client was asked before was asked in the call itself; what it is asked from here on, it finds in the task.

    Returns:
        Whether it is a task now. Not for clients that do not know tasks, nor where no more may be begun: then the
        function goes on in an ordinary call.
    """
    exchange = ctx.exchange
    if not isinstance(exchange, TaskExchange):
        return False
    if exchange.kept is not None:
        return True
    return exchange.told is not None and await exchange.told()


async def _in_memory(stack: AsyncExitStack) -> ExtensionHost:
    """Return what stands for a deployment where there is none, as on stdio: tasks live as long as the process."""
    from gatepost.stores.urls import locate  # noqa: PLC0415 - only where there is no store yet

    store = locate("memory:").make_store()
    await store.open()
    stack.push_async_callback(store.close)
    return ExtensionHost(
        store=store,
        place="",
        now=lambda: int(time.time()),
        random_bytes=secrets.token_bytes,
        key_ring=KeyRing([secrets.token_urlsafe(32)]),
        ears=set(),
    )
