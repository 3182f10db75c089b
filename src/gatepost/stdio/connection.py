"""One client on one process: what each of its lines is, and what becomes of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Coroutine, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from gatepost.late_dataclass import dataclass
from gatepost.protocol import eras, handshake, modern
from gatepost.protocol.errors import InternalError, InvalidJsonRpcRequest, ProtocolError, RequestId
from gatepost.protocol.messages import (
    Notification,
    Request,
    Response,
    cancellation_reason,
    error_response,
    notification,
    parse_message,
    result_response,
)
from gatepost.protocol.versions import LATEST_HANDSHAKE, Revision
from gatepost.server.calls.cancellation import CancelScope, RequestCancelled
from gatepost.server.calls.exchange import Exchange, InputRequests, Results, SendMessage
from gatepost.server.calls.pending_client_requests import DEFAULT_LOG_LEVEL, MOST_SUBSCRIPTIONS, PendingClientRequests
from gatepost.server.calls.waiters import Pace, Waiters
from gatepost.server.changes.bus import Change
from gatepost.server.changes.subscriptions import Subscription
from gatepost.server.errors import InsufficientScope
from gatepost.server.target import Target
from gatepost.stdio.streams import LINE_LIMIT, Outlet
from gatepost.telemetry.request_ids import CURRENT_REQUEST, RandomRequestIds, RequestIds, incident_id
from gatepost.tokens.opaque import RandomBytes

if TYPE_CHECKING:
    from starlette.requests import Request as HTTPRequest

MOST_RUNNING: Final = 1000
"""How many requests may be served at a time."""
_POLL_SECONDS: Final = 60.0
# What may come before `initialize` (2025-11-25 basic/lifecycle, "Initialization").
_AT_ANY_TIME: Final = frozenset({"initialize", "ping"})

logger = logging.getLogger("gatepost.mcp")


@dataclass(slots=True)
class StdioSession:
    """What `initialize` agreed on, and what the client asked for since."""

    revision: Revision
    client_capabilities: Mapping[str, Any]
    log_level: str = DEFAULT_LOG_LEVEL
    watched: dict[str, str] = field(default_factory=dict)


class LocalResponses:
    """Responses as `McpClientRequestStore` keeps them, of the one client of this process."""

    def __init__(self) -> None:
        self._responses: dict[str, bytes | None] = {}

    async def open(self, session_fingerprint: bytes, request_id: str, *, expires_at: int) -> None:
        self._responses[request_id] = None

    async def respond(
        self, session_fingerprint: bytes, request_id: str, message: bytes, *, now: int, wakes: bool = True
    ) -> bool:
        if self._responses.get(request_id, message) is not None:
            return False
        self._responses[request_id] = message
        return True

    async def find_response(self, session_fingerprint: bytes, request_id: str) -> bytes | None:
        return self._responses.get(request_id)

    async def withdraw(self, session_fingerprint: bytes, request_id: str) -> None:
        self._responses.pop(request_id, None)


class StdioExchange(Exchange):
    """One message.

    Args:
        outlet: where everything goes that is sent for it.
        headers: what tools see as its headers, names in lower case.
    """

    __slots__ = ("_outlet", "_shown_headers")

    def __init__(self, outlet: Outlet, headers: Mapping[bytes, bytes]) -> None:
        # Scopes do not count without tokens, and there are no headers that could mirror a message.
        super().__init__()
        self._outlet = outlet
        self._shown_headers = headers

    def http_request(self) -> HTTPRequest:
        from gatepost.stdio.request import request_with  # noqa: PLC0415 - only for tools that ask for it

        return request_with(self._shown_headers)

    async def send(self, message: bytes) -> None:
        if not self.is_closed:
            await self._outlet.send(message)

    def post_message(self, message: bytes) -> None:
        if not self.is_closed:
            self._outlet.post(message)


class StdioSessionExchange(StdioExchange):
    """One request of the handshake era; it is also the session, as the request's target sees it."""

    __slots__ = ("_client_requests", "_state")

    def __init__(
        self,
        outlet: Outlet,
        headers: Mapping[bytes, bytes],
        state: StdioSession,
        client_requests: PendingClientRequests,
    ) -> None:
        super().__init__(outlet, headers)
        self._state = state
        self._client_requests = client_requests

    @property
    def session(self) -> StdioSessionExchange:
        return self

    @property
    def client_capabilities(self) -> Mapping[str, Any]:
        return self._state.client_capabilities

    @property
    def log_level(self) -> str | None:
        return self._state.log_level

    async def request(self, requests: InputRequests) -> Results:
        return await self._client_requests.request(b"", self, requests)

    def sink(self) -> SendMessage | None:
        return None if self.is_closed else self._outlet.send

    async def set_log_level(self, level: str) -> None:
        self._state.log_level = level

    async def subscribe(self, uri: str, *, as_sent: str) -> bool:
        watched = self._state.watched
        if len(watched) >= MOST_SUBSCRIPTIONS and uri not in watched:
            return False
        watched.setdefault(uri, as_sent)
        return True

    async def unsubscribe(self, uri: str) -> None:
        self._state.watched.pop(uri, None)


@dataclass(slots=True, eq=False)
class Connection:
    """One client."""

    target: Target
    """What answers; its lifespan is open."""
    outlet: Outlet
    """Where answers go."""
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    """What tools see as the headers of each request, names in lower case."""
    random_bytes: RandomBytes = secrets.token_bytes
    """Where incident ids come from."""
    _request_ids: RequestIds = field(init=False)
    _client_requests: PendingClientRequests = field(init=False)
    _session: StdioSession | None = field(default=None, init=False)
    _running: dict[RequestId, CancelScope] = field(default_factory=dict, init=False)
    _scopes: dict[asyncio.Task[None], CancelScope] = field(default_factory=dict, init=False)
    """Those of requests, and of notifications that the target takes note of."""

    def __post_init__(self) -> None:
        self._request_ids = RandomRequestIds(self.random_bytes)
        # Every response wakes who waits for it; polling only finds that one has waited for too long.
        self._client_requests = PendingClientRequests(
            store=LocalResponses(),
            waiters=Waiters(),
            now=lambda: int(time.monotonic()),
            random_bytes=self.random_bytes,
            pace=Pace(_POLL_SECONDS),
        )

    async def take(self, line: bytes | None) -> None:
        """Take a line of the client's; None stands for one that was too long. Returns before requests are answered."""
        # 1. What is it?
        if line is None:
            await self.outlet.send(error_response(InvalidJsonRpcRequest(f"A message has at most {LINE_LIMIT} bytes.")))
            return
        if not line.strip():
            return
        try:
            message = parse_message(line)
        except ProtocolError as error:
            await self.outlet.send(error_response(error))
            return
        # 2. What is owed no answer.
        if isinstance(message, Response):
            if not await self._client_requests.respond(b"", message):
                logger.debug("a response answers no open request")
            return
        if isinstance(message, Notification):
            self._notice(message)
            return
        # 3. A request: a task each. What comes after `initialize` relies on what that agreed on, so that is awaited.
        if message.id in self._running or len(self._running) >= MOST_RUNNING:
            refusal = "This id is in use, or too many requests are being served."
            await self.outlet.send(error_response(InvalidJsonRpcRequest(refusal), message.id))
            return
        exchange = self._exchange_of(message)
        scope = self._running[message.id] = CancelScope(exchange)
        task = self._start(scope, self._serve(message, exchange, scope))
        # Not in the task itself: one that is cancelled before its first step never gets there.
        task.add_done_callback(lambda _: self._forget(message.id, scope))
        if message.method == "initialize":
            await asyncio.wait([task])

    async def finish(self, seconds: float) -> None:
        """Give what still runs so many seconds to end, then cancel it and give it as many to clean up."""
        if self._scopes:
            await asyncio.wait(self._scopes, timeout=seconds)
        for scope in tuple(self._scopes.values()):
            scope.cancel(seconds)
        if self._scopes:
            await asyncio.wait(self._scopes)

    def on_change(self, change: Change) -> None:
        """Notify a client of the handshake era of a change. In the event loop."""
        if self._session is not None and (change.kind != "resource" or change.uri in self._session.watched):
            self.outlet.post(notification(*change.notification(self._session.watched)))

    def _start(self, scope: CancelScope, serving: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = scope.task = asyncio.get_running_loop().create_task(serving)
        # The loop itself holds tasks weakly.
        self._scopes[task] = scope
        task.add_done_callback(self._scopes.pop)
        return task

    def _notice(self, message: Notification) -> None:
        if message.method == "notifications/cancelled":
            # Basic/utilities/cancellation: what is unknown or over is passed over without a word.
            request_id = message.params.get("requestId")
            scope = self._running.get(request_id) if isinstance(request_id, int | str) else None
            if scope is not None:
                logger.debug("a request was cancelled", extra={"given_reason": cancellation_reason(message.params)})
                scope.cancel()
            return
        revision = LATEST_HANDSHAKE if self._session is None else self._session.revision
        scope = CancelScope()
        self._start(scope, self._take_note(message, revision, scope))

    def _forget(self, request_id: RequestId, scope: CancelScope) -> None:
        if self._running.get(request_id) is scope:
            del self._running[request_id]

    def _exchange_of(self, request: Request) -> StdioExchange:
        if self._session is None or request.method == "initialize" or eras.is_modern(request, None):
            return StdioExchange(self.outlet, self.headers)
        return StdioSessionExchange(self.outlet, self.headers, self._session, self._client_requests)

    async def _take_note(self, message: Notification, revision: Revision, scope: CancelScope) -> None:
        with contextlib.suppress(RequestCancelled):
            await scope.run(self.target.notice(message, revision, StdioExchange(self.outlet, self.headers)))

    async def _serve(self, request: Request, exchange: StdioExchange, scope: CancelScope) -> None:
        """Answer a request, whatever happens, unless the client cancels it."""
        CURRENT_REQUEST.set((self._request_ids, {}, None))
        try:
            answer = await self._answered(request, exchange, scope)
            # Before the answer goes out: from then on, the client may use the id again.
            self._forget(request.id, scope)
            await exchange.send(answer)
        except RequestCancelled:
            pass
        except asyncio.CancelledError:
            if not scope.is_cancelled:
                raise
        finally:
            exchange.is_closed = True

    async def _answered(self, request: Request, exchange: StdioExchange, scope: CancelScope) -> bytes:
        try:
            revision = self._revision_of(request)
            result = await scope.run(self.target.answer(request, revision, exchange))
            if isinstance(result, Subscription):
                result = await _held(result)
            elif request.method == "initialize" and not revision.modern:
                self._session = StdioSession(*handshake.agreement(request.params, result, revision))
            return _written(request, result)
        except ProtocolError as error:
            return error_response(error, request.id)
        except InsufficientScope as error:
            scopes = " ".join(sorted(error.scopes))
            return error_response(InvalidJsonRpcRequest(f"This needs the scopes {scopes}."), request.id)
        except RequestCancelled:
            raise
        except (Exception, SystemExit) as error:  # a target's sys.exit() must not end the process
            incident = incident_id(self.random_bytes)
            logger.error("incident %s: the target failed", incident, exc_info=error, extra={"incident": incident})  # noqa: TRY400 - with the trace of an exit, too
            message = f"Something went wrong on the server; its log explains it as incident {incident}."
            return error_response(InternalError(message), request.id)

    def _revision_of(self, request: Request) -> Revision:
        """Return what a request is in; raises ProtocolError: its metadata is wrong, or it comes before `initialize`."""
        if eras.is_modern(request, None):
            return modern.check_request_without_headers(request)
        if request.method == "initialize":
            return handshake.revision_of_request(request, None)
        if self._session is not None:
            return self._session.revision
        if request.method not in _AT_ANY_TIME:
            raise InvalidJsonRpcRequest(f'Send initialize first, or "{modern.PROTOCOL_VERSION}" in "params._meta".')
        return LATEST_HANDSHAKE


async def _held(subscription: Subscription) -> dict[str, Any]:
    """Keep a subscription until the server ends it; return its result."""
    ended: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def end(result: dict[str, Any]) -> None:
        with contextlib.suppress(asyncio.InvalidStateError):
            ended.set_result(result)

    try:
        await subscription.begin(end)
        return await ended
    finally:
        subscription.leave()


def _written(request: Request, result: Any) -> bytes:
    answer = result_response(request.id, result)
    # Results that are JSON already may have been written over several lines.
    return answer.replace(b"\r", b"").replace(b"\n", b"") if b"\n" in answer else answer
