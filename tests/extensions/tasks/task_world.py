"""A server with tasks in one or several processes over one store, and clients that call it; without HTTP."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

from gatepost.extensions.tasks.extension import Tasks
from gatepost.extensions.tasks.runs import TaskRuns
from gatepost.extensions.tasks.settings import TASKS
from gatepost.protocol.messages import Request, result_response
from gatepost.protocol.modern import CLIENT_CAPABILITIES, PROTOCOL_VERSION
from gatepost.protocol.versions import REVISION_2026_07_28, Revision
from gatepost.resource.principal import Principal
from gatepost.server.calls.exchange import Exchange
from gatepost.server.changes.subscriptions import Subscription
from gatepost.server.dispatch import ServerTarget
from gatepost.server.extension_host import ExtensionHost
from gatepost.server.server import Server
from gatepost.stores.contract.store import Store
from gatepost.stores.sql.sqlite import memory_store
from gatepost.tokens.sealing import KeyRing

PLACE: Final = "/mcp"
EVERYTHING: Final[Mapping[str, Any]] = {"elicitation": {}, "sampling": {}, "extensions": {TASKS: {}}}
ADA: Final = Principal("ada", "app", frozenset({"a"}), "https://mcp.example/mcp", "https://mcp.example", None, None)
OVER: Final = {"completed", "failed", "cancelled"}
LONGEST: Final = 20.0
"""Seconds until a test gives up; nothing waits for so long."""


class Told(Exchange):
    """An exchange that keeps what it is told."""

    def __init__(self, principal: Principal | None) -> None:
        super().__init__(principal)
        self.messages: list[dict[str, Any]] = []
        self.arrived = asyncio.Event()

    async def send(self, message: bytes) -> None:
        self.messages.append(json.loads(message))
        self.arrived.set()

    async def until(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(LONGEST):
            while len(self.messages) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.messages


class Process:
    """One process that serves."""

    def __init__(self, target: ServerTarget, host: ExtensionHost) -> None:
        self.target = target
        self.host = host
        self.principal: Principal | None = ADA
        self.capabilities: Mapping[str, Any] = EVERYTHING

    @property
    def runs(self) -> TaskRuns:
        """Its tasks."""
        (tasks,) = (each for each in self.target.extensions if isinstance(each, Tasks))
        return tasks._runs[self.target]

    def request(self, method: str, **params: Any) -> Request:
        meta = {PROTOCOL_VERSION: "2026-07-28", CLIENT_CAPABILITIES: self.capabilities, **params.pop("_meta", {})}
        return Request(1, method, {**params, "_meta": meta})

    async def ask(self, method: str, *, revision: Revision = REVISION_2026_07_28, **params: Any) -> dict[str, Any]:
        result = await self.target.answer(self.request(method, **params), revision, Exchange(self.principal))
        assert not isinstance(result, Subscription)
        read: dict[str, Any] = json.loads(result_response(1, result))["result"]
        return read

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return await self.ask("tools/call", name=tool, arguments=arguments)

    async def begin(self, tool: str, **arguments: Any) -> str:
        """Call a tool that is a task, and return the id."""
        created = await self.call(tool, **arguments)
        assert created["resultType"] == "task", created
        task_id: str = created["taskId"]
        return task_id

    async def get(self, task_id: str) -> dict[str, Any]:
        return await self.ask("tasks/get", taskId=task_id)

    async def until(self, task_id: str, *statuses: str) -> dict[str, Any]:
        """Return the task once it is so."""
        async with asyncio.timeout(LONGEST):
            while True:
                task = await self.get(task_id)
                if task["status"] in (statuses or OVER):
                    return task
                await asyncio.sleep(0)

    async def listen(self, *task_ids: str) -> Told:
        """Listen to tasks, and return what is told of them."""
        told = Told(self.principal)
        request = self.request("subscriptions/listen", notifications={"taskIds": list(task_ids)})
        subscription = await self.target.answer(request, REVISION_2026_07_28, told)
        assert isinstance(subscription, Subscription)

        async def end(_result: dict[str, Any]) -> None:
            pass

        await subscription.begin(end)
        return told


class World:
    """A store, a clock, and the server, or what makes one for each process."""

    def __init__(self, server: Server | Callable[[], Server], store: Store | None = None) -> None:
        self.server = server
        # As one that outlives its processes: only then they look at what others have done.
        self.store = replace(store or memory_store(), is_lost_at_exit=False)
        self.time = 1_800_000_000
        self.key_ring = KeyRing([secrets.token_urlsafe(32)])

    def host(self, **changes: Any) -> ExtensionHost:
        given: dict[str, Any] = {
            "store": self.store,
            "place": PLACE,
            "now": lambda: self.time,
            "random_bytes": secrets.token_bytes,
            "key_ring": self.key_ring,
            "ears": set(),
            **changes,
        }
        return ExtensionHost(**given)

    @asynccontextmanager
    async def process(self, **changes: Any) -> AsyncIterator[Process]:
        """Serve; `changes` are of the host."""
        host = self.host(**changes)
        target = ServerTarget(self.server if isinstance(self.server, Server) else self.server(), host=host)
        async with target.lifespan():
            yield Process(target, host)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so that happens in this event loop."""
    async with asyncio.timeout(LONGEST):
        while True:
            if is_so():
                return
            await asyncio.sleep(0)


def text_of(task: Mapping[str, Any]) -> str:
    """Return the text of a task's result."""
    text: str = task["result"]["content"][0]["text"]
    return text
