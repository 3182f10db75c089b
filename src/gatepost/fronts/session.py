"""One session with a server behind a front: its requests by id, and what the server says by itself.

Several clients may share it, so each request gets an id of this session's own, and its progress token likewise. The
server's requests keep their ids: they are answered on the connection that they came on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import field
from functools import partial
from typing import Any, Final, Protocol

from gatepost.fronts.backend import BackendLost, BackendUnavailable, Link, Outgoing
from gatepost.fronts.callers import PROGRESS, Caller, NotAnswered, unknown_here
from gatepost.fronts.changes import change_of
from gatepost.fronts.raw_json import Answer, NotAMessage, ServerNotification, ServerRequest, decoded, read_message
from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import ApplicationError, RequestId
from gatepost.protocol.json_encoding import encode

CANCELLED: Final = "notifications/cancelled"
MOST_ASKED: Final = 64
"""How many requests of one server to its clients wait for an answer at a time."""
_INITIALIZED: Final = "notifications/initialized"

logger = logging.getLogger("gatepost.front")


class Audience(Protocol):
    """Those who share a session, for what belongs to no request."""

    def hear(self, session: BackendSession, notification: ServerNotification, caller: Caller | None = None) -> None:
        """Take a notification that belongs to no request, or to all of them; `caller`: on whose stream it came."""
        ...

    def asked(self, session: BackendSession, method: str) -> Caller | None:
        """Return who is asked what the server wants to know outside of a request; None for nobody."""
        ...

    def lost(self, session: BackendSession, why: str) -> None:
        """Note that the session is over, by no doing of ours."""
        ...


@dataclass(slots=True, eq=False)
class _Call:
    answer: asyncio.Future[bytes]
    caller: Caller
    method: str


@dataclass(slots=True, eq=False, kw_only=True)
class BackendSession:
    """A session with a server; `connect` begins it."""

    audience: Audience
    is_serial: bool = False
    """Whether one request at a time is under way."""
    initialize_result: dict[str, Any] = field(default_factory=dict[str, Any], init=False)
    """What the server answered `initialize` with."""
    why_lost: str | None = field(default=None, init=False)
    """Why nothing can be asked any more; None while it can."""
    _link: Link | None = field(default=None, init=False)
    _calls: dict[int, _Call] = field(default_factory=dict[int, _Call], init=False)
    """Those under way, the oldest first."""
    _asked: dict[RequestId, asyncio.Task[None]] = field(
        default_factory=dict[RequestId, "asyncio.Task[None]"], init=False
    )
    """What the server asks its client, by the server's ids."""
    _last_id: int = field(default=0, init=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _idle: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _sending: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"], init=False)

    @property
    def is_busy(self) -> bool:
        """Whether a request is under way."""
        return bool(self._calls)

    @property
    def awaits_any(self) -> bool:
        """Whether a request has yet to be answered."""
        return any(not call.answer.done() for call in self._calls.values())

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """What the server declares."""
        capabilities = self.initialize_result.get("capabilities")
        return capabilities if type(capabilities) is dict else {}

    @property
    def is_linked(self) -> bool:
        """Whether it has its connection."""
        return self._link is not None

    def linked(self, link: Link) -> None:
        """Use this connection."""
        self._link = link

    async def initialize(self, params: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """Send `initialize`, and return its result.

        Raises:
            BackendUnavailable: the server ended, refused, or answered something else.
        """
        try:
            raw = await self.request("initialize", params, caller)
            result = decoded(raw)
        except BackendLost as error:
            raise BackendUnavailable(f"It ended before it answered: {error}") from None
        except ApplicationError as error:
            raise BackendUnavailable(f"It refused to initialize: {error.message}") from None
        if type(result.get("capabilities", {})) is not dict or type(result.get("serverInfo", {})) is not dict:
            raise BackendUnavailable("Its answer to initialize is none.")
        self.initialize_result = result
        return result

    def request(self, method: str, params: Mapping[str, Any], caller: Caller) -> Coroutine[Any, Any, bytes]:
        """Send a request, and return its result as the server spelled it.

        A cancellation of this is one of the request: the server is told, and nothing it says of it is heard any more.

        Raises:
            ApplicationError: the server answered with this error.
            BackendLost: there will be no answer.
        """
        # A plain function that hands the coroutine on: one less to go through on every step.
        return (self._request_in_turn if self.is_serial else self._request)(method, params, caller)

    async def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Send a notification; nothing if the session is over."""
        data = encode({"jsonrpc": "2.0", "method": method, "params": params})
        await self._send(Outgoing(data, method, None, params))

    async def initialized(self) -> None:
        """Say that the client has its answer to `initialize`."""
        await self.notify(_INITIALIZED, {})

    async def finish(self, seconds: float) -> None:
        """Wait for what is under way, so long at most, and close."""
        try:
            async with asyncio.timeout(seconds):
                await self.idle()
        except TimeoutError:
            pass
        await self.close()

    async def idle(self) -> None:
        """Wait until nothing is under way."""
        while self._calls:
            self._idle.clear()
            await self._idle.wait()

    async def close(self) -> None:
        """Close the connection; what is under way fails. Closing twice is fine."""
        self._end("It was closed.")
        if self._link is not None:
            await self._link.close()

    def take(self, message: bytes, about: RequestId | None = None) -> None:
        """Take a message of the server's."""
        try:
            said = read_message(message)
        except NotAMessage as error:
            # A stray print, most of all. What it says may be anybody's secret.
            logger.warning("the server behind wrote what is no message: %s (%d bytes)", error, len(message))
            return
        match said:
            case Answer():
                self._answered(said)
            case ServerRequest():
                self._ask(said, about)
            case ServerNotification():
                self._hear(said, about)

    def awaits(self, request_id: RequestId) -> bool:
        """Say whether a request has yet to be answered."""
        call = self._calls.get(request_id) if type(request_id) is int else None
        return call is not None and not call.answer.done()

    def failed(self, request_id: RequestId, error: Exception) -> None:
        """Note that a request will have no answer."""
        if self.awaits(request_id):
            self._calls[int(request_id)].answer.set_exception(error)

    def lost(self, why: str, *, are_calls_over: bool = True) -> None:
        """Note that the connection is over."""
        if self.why_lost is None:
            if are_calls_over:
                self._end(why)
            self.why_lost = why
            self.audience.lost(self, why)

    async def _request_in_turn(self, method: str, params: Mapping[str, Any], caller: Caller) -> bytes:
        async with self._turn:
            return await self._request(method, params, caller)

    async def _request(self, method: str, params: Mapping[str, Any], caller: Caller) -> bytes:
        if self.why_lost is not None:
            raise BackendLost(self.why_lost)
        self._last_id += 1
        number = self._last_id
        token = caller.progress_token
        if token is not None:
            params = {**params, "_meta": {**params["_meta"], "progressToken": number}}
        data = encode({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        call = self._calls[number] = _Call(asyncio.get_running_loop().create_future(), caller, method)
        try:
            if self._link is not None:
                await self._link.send(Outgoing(data, method, number, params))
            return await call.answer
        except asyncio.CancelledError:
            # Nothing is waited for: servers answer with silence, a result or several codes.
            if method != "initialize":
                self._send_soon(CANCELLED, {"requestId": number})
            raise
        finally:
            del self._calls[number]
            if not self._calls:
                self._idle.set()

    async def _send(self, message: Outgoing) -> None:
        if self._link is not None and self.why_lost is None:
            await self._link.send(message)

    def _send_soon(self, method: str, params: Mapping[str, Any]) -> None:
        self._in_background(partial(self.notify, method, params))

    def _in_background(self, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        # A function, since a coroutine in a task that is cancelled before its first step would never be awaited.
        task = asyncio.get_running_loop().create_task(_unless_lost(work))
        # The loop itself holds tasks weakly.
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        return task

    def _end(self, why: str) -> None:
        self.why_lost = self.why_lost or why
        for task in tuple(self._asked.values()):
            task.cancel()
        for call in self._calls.values():
            if not call.answer.done():
                call.answer.set_exception(BackendLost(self.why_lost))

    def _answered(self, answer: Answer) -> None:
        call = self._calls.get(answer.id) if type(answer.id) is int else None
        if call is None or call.answer.done():
            logger.debug("an answer came to no open request")
        elif answer.result is not None:
            call.answer.set_result(answer.result)
        else:
            assert answer.error is not None  # noqa: S101 - one of the two is there; tells mypy
            call.answer.set_exception(ApplicationError(answer.error))

    def _hear(self, said: ServerNotification, about: RequestId | None) -> None:
        if said.method == PROGRESS:
            # After a cancellation or an answer there is nobody: servers go on reporting.
            token = said.params.get("progressToken")
            call = self._calls.get(token) if type(token) is int else None
            if call is not None and call.caller.progress_token is not None:
                call.caller.hear(PROGRESS, {**said.params, "progressToken": call.caller.progress_token}, None)
            return
        if said.method == CANCELLED:
            request_id = said.params.get("requestId")
            if type(request_id) in (int, str) and request_id in self._asked:
                self._asked[request_id].cancel()
            return
        call = self._calls.get(int(about)) if about is not None and about in self._calls else None
        if call is not None and change_of(said.method, said.params) is None:
            call.caller.hear(said.method, said.params, said.raw)
        else:
            # A change is one for all who share the session, on whose stream it comes.
            self.audience.hear(self, said, None if call is None else call.caller)

    def latest_caller(self, methods: Collection[str] | None = None) -> Caller | None:
        """Return who sent the latest of the requests that are under way, of all or of these methods."""
        for call in reversed(self._calls.values()):
            if methods is None or call.method in methods:
                return call.caller
        return None

    def _ask(self, request: ServerRequest, about: RequestId | None) -> None:
        caller: Caller | None = None
        if about is not None and about in self._calls:
            caller = self._calls[int(about)].caller
        asking = self._in_background(partial(self._ask_client, request, caller))
        self._asked[request.id] = asking
        asking.add_done_callback(lambda done: self._forget_asked(request.id, done))

    def _forget_asked(self, request_id: RequestId, asking: asyncio.Task[None]) -> None:
        if self._asked.get(request_id) is asking:
            del self._asked[request_id]

    async def _ask_client(self, request: ServerRequest, caller: Caller | None) -> None:
        answer: dict[str, Any]
        try:
            answer = {"result": await self._result_of(request, caller)}
        except NotAnswered as refused:
            answer = {"error": {"code": refused.code, "message": refused.message}}
        await self._send(Outgoing(encode({"jsonrpc": "2.0", "id": request.id, **answer}), None, request.id))

    async def _result_of(self, request: ServerRequest, caller: Caller | None) -> Mapping[str, Any]:
        if request.method == "ping":
            return {}
        if len(self._asked) > MOST_ASKED:
            raise NotAnswered(-32603, "Too many requests wait for the client already.")
        if caller is None or not caller.can_be_asked(request.method):
            caller = self.audience.asked(self, request.method)
        if caller is None:
            raise unknown_here(request.method)
        return await caller.ask(request.method, request.params)


async def _unless_lost(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        await work()
    except BackendLost as error:
        logger.debug("nothing could be sent: %s", error)
