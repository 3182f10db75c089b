"""One run of a call that is a task, or may become one: whom its code asks, what it tells, and how it is ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final, Protocol

from gatepost.late_dataclass import dataclass
from gatepost.protocol.json_encoding import encode
from gatepost.protocol.messages import is_progress_token
from gatepost.server.calls.cancellation import CancelScope
from gatepost.server.calls.exchange import Exchange, InputRequests, McpClient, Remembering, Results, SendMessage
from gatepost.server.calls.request_state import digest

if TYPE_CHECKING:
    from starlette.requests import Request as HTTPRequest

    from gatepost.stores.contract.tasks import TaskEnding

_PROGRESS: Final = "notifications/progress"
_NOTHING: Final[Mapping[str, Any]] = {}


class Kept(Protocol):
    """A run as the store has it, once it is a task."""

    async def ask(self, requests: Mapping[str, bytes]) -> Results:
        """Ask the client, and return its responses by key; raises CancelledError: this process runs it no more."""
        ...

    async def keep_value(self, name: str, value: bytes) -> None:
        """Keep a value for another run, if there may be one; raises CancelledError as `ask` does."""
        ...

    def note(self, message: str) -> Coroutine[Any, Any, None]:
        """Keep how far it is, in words."""
        ...

    async def finish(self, ending: TaskEnding) -> bool:
        """Keep how it ended; False where it has ended otherwise before, or cannot be kept."""
        ...

    async def let_go(self) -> None:
        """Hear of it no more: the store knows how it ended."""
        ...


@dataclass(slots=True, eq=False)
class Run:
    """One run, in this process."""

    exchange: TaskExchange
    scope: CancelScope = field(init=False)
    work: asyncio.Task[Any] | None = None
    """What answers the call."""
    key: bytes = b""
    """The fingerprint of its task; empty while it is none."""
    person: str = ""
    tool: str = ""
    access_id: str | None = None
    """What its caller's access hangs on."""
    stopped_with: TaskEnding | None = None
    """How it is to end, where it was stopped from here; None where the store says already."""
    is_cancelled_there: bool = False
    """Whether the store says that it was cancelled."""
    timer: asyncio.TimerHandle | None = None
    """Stops it when its time is over."""

    def __post_init__(self) -> None:
        self.scope = CancelScope(self.exchange)
        self.exchange.run = self

    def stop(self, ending: TaskEnding | None = None, clean_up_seconds: float | None = None) -> None:
        """Cancel it, unless it was before; in the event loop."""
        if self.scope.is_cancelled:
            return
        self.stopped_with = ending
        if self.scope.task is None:
            # It has not begun yet, and begins with nothing to do.
            self.scope.task = self.work
        self.scope.cancel(clean_up_seconds)


class TaskExchange(Exchange):
    """The exchange of a run: that of its request, until it is a task, and then that of nobody who waits."""

    __slots__ = ("_inner", "decided", "kept", "memory", "run", "told")

    takes_progress = True

    def __init__(self, inner: Exchange) -> None:
        super().__init__(inner.principal, inner.headers)
        self._inner = inner
        self.run: Run | None = None
        self.kept: Kept | None = None
        """Set once it is a task."""
        self.memory: dict[str, Any] = {}
        """What earlier runs kept."""
        self.told: Callable[[], Awaitable[bool]] | None = None
        """Makes it a task when its code says so; None where it cannot become one."""
        self.decided: asyncio.Future[bool] | None = None
        """Done once it is known whether it is a task from here on; None until somebody sets about making it one."""

    @property
    def granted(self) -> frozenset[str] | None:
        return self._inner.granted

    @property
    def shown(self) -> frozenset[str] | None:
        return self._inner.shown

    @property
    def outer_state(self) -> Mapping[str, Any]:
        return self._inner.outer_state

    def http_request(self) -> HTTPRequest | None:
        return self._inner.http_request()

    def client_of(self, run: McpClient | None) -> McpClient | None:
        return None if run is None else TaskClient(run, self)

    def notify(self, method: str, params: Mapping[str, Any]) -> Coroutine[Any, Any, None]:
        if method == _PROGRESS and self.kept is not None and self._may_leave(params):
            return self.kept.note(_in_words(params))
        if method == _PROGRESS and not is_progress_token(params.get("progressToken")):
            return _nothing()
        return super().notify(method, params)

    async def send(self, message: bytes) -> None:
        # A task has no notifications of progress or for the log (ext-tasks, "Task Status Notifications").
        if self.kept is None:
            await self._inner.send(message)

    def post_message(self, message: bytes) -> None:
        if self.kept is None:
            self._inner.post_message(message)

    def sink(self) -> SendMessage | None:
        return self._inner.sink() if self.kept is None else None

    async def close_stream(self) -> None:
        if self.kept is None:
            await self._inner.close_stream()


class ResumedExchange(Exchange):
    """What stands for the exchange of a request whose process died: the caller is known, the request is gone."""

    __slots__ = ("_granted",)

    def __init__(self, *given: Any, granted: frozenset[str] | None) -> None:
        super().__init__(*given)
        self._granted = granted

    @property
    def granted(self) -> frozenset[str] | None:
        return self._granted


class TaskClient:
    """Whom the code of a run asks: the client of its request, until it is a task, and then that of the task."""

    __slots__ = ("_exchange", "_memory", "_of_request")

    def __init__(self, of_request: McpClient, exchange: TaskExchange) -> None:
        self._of_request = of_request
        self._exchange = exchange
        self._memory: MutableMapping[str, Any] | None = None

    @property
    def client_capabilities(self) -> Mapping[str, Any]:
        """What the request declares."""
        return self._of_request.client_capabilities

    @property
    def log_level(self) -> str | None:
        """What the request asks for; nothing once it is a task."""
        return self._of_request.log_level if self._exchange.kept is None else None

    @property
    def memory(self) -> MutableMapping[str, Any]:
        """What outlasts the run."""
        if self._memory is None:
            of_request = self._of_request if isinstance(self._of_request, Remembering) else None
            is_task = self._exchange.kept is not None or of_request is None
            self._memory = self._exchange.memory if is_task or of_request is None else of_request.memory
        return self._memory

    async def keep(self, key: str) -> None:
        """Keep a value of the memory for another run of the task."""
        if self._exchange.kept is not None:
            await self._exchange.kept.keep_value(key, encode(self.memory[key]))

    async def request(self, requests: InputRequests) -> Results:
        """Ask, as `McpClient.request`; in a task it waits, for as long as the task lives."""
        if self._exchange.kept is None and self._exchange.decided is not None:
            # It is about to become one. What is asked by the call itself would end the call, of which a task is left.
            await asyncio.shield(self._exchange.decided)
        kept = self._exchange.kept
        if kept is None:
            return await self._of_request.request(requests)
        # The same key stands for the same request in every run, and for no other one (ext-tasks, "Task Update
        # Requests"), so what is asked is a part of it.
        wire = {key: f"{key}-{digest([one['method'], one['params']]).hex()[:8]}" for key, one in requests.items()}
        found = await kept.ask({wire[key]: encode(request) for key, request in requests.items()})
        return {key: found[wire[key]] for key in requests}


def value_of(kept: bytes) -> Any:
    """Return a value that a run kept."""
    return json.loads(kept)


def _in_words(params: Mapping[str, Any]) -> str:
    how_far = "/".join(f"{params[name]:g}" for name in ("progress", "total") if name in params)
    message = params.get("message")
    return how_far if message is None else f"{message} ({how_far})"


async def _nothing() -> None:
    pass
