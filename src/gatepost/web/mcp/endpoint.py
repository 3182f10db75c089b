"""The MCP endpoint: Streamable HTTP, both eras on one URL. The hot path.

A plain ASGI callable that the app dispatches to ahead of FastAPI's router. What does not depend on the request is
prepared before it comes, and nothing is built that nobody asked for: no `Request` object, no task, no log record.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import field
from functools import partial
from typing import Final

from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from gatepost.late_dataclass import dataclass
from gatepost.oauth.reasons import Reason
from gatepost.protocol import eras, handshake, modern
from gatepost.protocol.errors import InternalError, InvalidJsonRpcRequest
from gatepost.protocol.messages import (
    Notification,
    Request,
    Response,
    error_response,
    parse_message,
    result_response,
)
from gatepost.resource.api_keys import API_KEY_HEADER
from gatepost.resource.principal import Principal
from gatepost.resource.resources import ProtectedResource
from gatepost.server.calls.cancellation import CancelScope, RequestCancelled
from gatepost.server.changes.subscriptions import Subscription
from gatepost.server.errors import InsufficientScope
from gatepost.server.target import ResultBody, SessionLost, Target
from gatepost.telemetry.catalogue import REFUSALS
from gatepost.telemetry.request_ids import CURRENT_REQUEST, UNASKED, RandomRequestIds, RequestIds, incident_id
from gatepost.telemetry.seam import Telemetry
from gatepost.tokens.opaque import RandomBytes
from gatepost.web.mcp.exchange.answers import (
    ACCEPTED,
    Answer,
    FastPath,
    Refused,
    check_media_types,
    error_answer,
    reason_of,
    send_answer,
)
from gatepost.web.mcp.exchange.change_stream import CREDENTIAL_HEADERS, ChangeStream, StreamAdmission
from gatepost.web.mcp.exchange.headers import single_values
from gatepost.web.mcp.exchange.http_exchange import HttpExchange
from gatepost.web.mcp.exchange.keep_alive import KeepAlive
from gatepost.web.mcp.exchange.step_up import step_up
from gatepost.web.mcp.sessions.handshake_era import HandshakeEra
from gatepost.web.mcp.sessions.session_exchange import SessionExchange
from gatepost.web.resource.bearer_guard import BearerGuard
from gatepost.web.resource.outer_authentication import UNKNOWN_CALLER, outer_principal
from gatepost.web.site.client_address import ClientAddresses
from gatepost.web.site.disconnect import run_while_connected
from gatepost.web.site.errors import Landing, ScrubbedTraceback
from gatepost.web.site.front_door import (
    HOST_FOREIGN,
    ORDINARY_HEADERS,
    ORIGIN_FOREIGN,
    is_origin_ours,
    loggable_host,
)
from gatepost.web.site.plain_answers import FAST_PATH
from gatepost.web.site.request_body import ClientDisconnected, read_body

BODY_LIMIT = 4 * 1024 * 1024
"""The longest message that is read, in bytes, unless the endpoint is told otherwise."""

_FOR_LANDING: Final = frozenset({400, 401, 404, 405, 406})
"""What a browser is refused with that somebody sent here; not 421, for a page of ours shows under no foreign name."""

logger = logging.getLogger("gatepost.mcp")


@dataclass(slots=True, eq=False, kw_only=True)
class McpEndpoint:
    """One MCP endpoint: an ASGI callable. See the numbered steps of `_answer`."""

    target: Target
    """What answers; its lifespan is opened by the app."""
    guard: BearerGuard | None
    """Verifies bearer tokens; None leaves that to the application around this one (`outer_authentication`)."""
    resource: ProtectedResource | None = None
    """What it is to tokens; says which scopes imply others."""
    is_lazy: bool = False
    """Whether a request without a token may do what needs no scope, and is asked for one where it needs more."""
    ignores_scopes: bool = False
    """Whether everybody may do everything where nobody grants scopes: neither a guard nor an application around it."""
    allowed_hosts: frozenset[str]
    """The `Host` values that are ours, in lower case, with the port where it is not the default."""
    allowed_origins: frozenset[str]
    """The browser origins that may call, beside those on the machine's own loopback."""
    any_origin: bool = False
    """Whether pages of every origin may call with a token; without a guard it changes nothing (record 0035)."""
    body_limit: int = BODY_LIMIT
    """The longest message that is read, in bytes."""
    random_bytes: RandomBytes = secrets.token_bytes
    """Where incident ids come from."""
    keep_alive: KeepAlive = field(default_factory=KeepAlive)
    """Keeps the streams of `subscriptions/listen` alive, and every request that waits for something."""
    handshake_era: HandshakeEra | None = None
    """The sessions of the handshake era; without it its requests are served one by one."""
    addresses: ClientAddresses = field(default_factory=ClientAddresses)
    """Say from where a request comes that is refused."""
    request_ids: RequestIds | None = None
    """Gives requests their ids; random ones by default."""
    telemetry: Telemetry | None = None
    """Counts refusals; None counts nothing."""
    landing: Landing | None = None
    """Returns the page that a person's browser is shown in place of a refusal."""
    open_scopes: set[CancelScope] = field(default_factory=set)
    """Holds the scope of each request that waits for something, for whoever cancels all of them."""
    _hosts: frozenset[bytes] = field(init=False)
    _origins: frozenset[bytes] | None = field(init=False)
    _methods: tuple[str, ...] = field(init=False)
    _ids: RequestIds = field(init=False)

    def __post_init__(self) -> None:
        self._ids = self.request_ids or RandomRequestIds(self.random_bytes)
        self._hosts = frozenset(host.encode("latin-1") for host in self.allowed_hosts)
        origins = frozenset(origin.encode("latin-1") for origin in self.allowed_origins)
        self._origins = None if self.any_origin and self.guard is not None else origins
        # Streams (GET) and sessions (DELETE) are of the handshake era.
        self._methods = ("POST",) if self.handshake_era is None else ("GET", "HEAD", "POST", "DELETE")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        fast_path: FastPath | None = scope.get(FAST_PATH)
        try:
            answer = await self._answer(scope, receive, send, fast_path)
        except ClientDisconnected:
            logger.debug("the client went away")
            return
        except Exception as error:  # noqa: BLE001 - the last resort: whatever it is, the client gets an answer
            page = None
            if self.landing is not None and getattr(error, "status", None) in _FOR_LANDING:
                page = self.landing(HTTPConnection(scope))
            if page is not None:
                await page(scope, receive, send)
                return
            answer = self._error_answer(error, scope)
        if isinstance(answer, ChangeStream):
            # Waited for here, where the frames and the message of its request are gone: it may last for hours.
            await answer.until_over()
            logger.debug("the client went away")
        elif answer is not None and (fast_path is None or not fast_path.answer(send, answer)):
            await send_answer(send, answer)

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, fast_path: FastPath | None
    ) -> Answer | ChangeStream | None:
        """Return the answer, or the stream that it is; None when it has gone out on a stream already."""
        http_method: str = scope["method"]
        raw_headers: list[tuple[bytes, bytes]] = scope["headers"]
        # 1. Headers, 2. Host and Origin: of an ordinary request they have been looked at.
        headers: Mapping[bytes, bytes] = scope.get(ORDINARY_HEADERS) or self._checked_headers(raw_headers)
        # 3. Who is it? Clients begin with any method to get the challenge; OPTIONS never has a token (Fetch standard).
        principal: Principal | None = None
        if self.guard is not None and http_method != "OPTIONS":
            # A token that was verified a moment ago costs one look-up.
            is_plain = not scope.get("query_string") and API_KEY_HEADER not in headers
            authorization = headers.get(b"authorization", b"") if is_plain else b""
            principal = self.guard.cached(authorization)
            if principal is None:
                CURRENT_REQUEST.set((self._ids, scope, UNASKED))
                principal = await self._identify(self.guard, scope)
            if fast_path is not None:
                fast_path.is_verified = principal is not None
        elif self.guard is None:
            principal = outer_principal(scope, self.resource, ignores_scopes=self.ignores_scopes)
        CURRENT_REQUEST.set((self._ids, scope, principal))
        # 4. Method.
        if http_method != "POST":
            return await self._answer_without_message(HttpExchange(scope, receive, send, principal, headers))
        # 5. What is it? The type is as strict as it is because browsers send others without asking first.
        check_media_types(headers)
        body = None if fast_path is None else fast_path.take_body(receive, self.body_limit)
        message = parse_message(body or await read_body(receive, limit=self.body_limit))
        # 6. Which era is it from, in which session, and what is the answer?
        version = eras.version_in_header(headers.get(b"mcp-protocol-version"))
        if not isinstance(message, Request):
            return await self._take(message, version, HttpExchange(scope, receive, send, principal, headers))
        is_modern = eras.is_modern(message, version)
        era, record = self.handshake_era, None
        if era is not None and not is_modern and message.method != "initialize":
            record = era.cached(headers, principal) or await era.session_of(headers, principal, scope)
        if era is None or record is None:
            exchange = HttpExchange(scope, receive, send, principal, headers)
        else:
            exchange = SessionExchange(
                scope, receive, send, principal, headers, record=record, request_id=message.id, services=era.services
            )
            # What the client agreed on counts where it does not say it again.
            version = version or record.revision
        return await self._serve(exchange, message, version, is_modern=is_modern)

    async def _identify(self, guard: BearerGuard, scope: Scope) -> Principal | None:
        """Return who sends a request whose token has to be looked up; None for nobody known, where that is enough."""
        query_string: bytes = scope.get("query_string", b"")
        # Of a header that came twice the dictionary has none.
        if self.is_lazy and not query_string and CREDENTIAL_HEADERS.isdisjoint(name for name, _ in scope["headers"]):
            scope[UNKNOWN_CALLER] = True
            return None
        return await guard.verify(scope["headers"], query_string, scope)

    def _allow(self) -> tuple[bytes, bytes]:
        return b"allow", ", ".join((*self._methods, "OPTIONS")).encode()

    def _checked_headers(self, raw_headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
        """Return the headers by name, unless they come from a page of another site.

        DNS rebinding, RFC 9110 section 7.4.
        """
        # 1. Names are lower case already (ASGI). One that stands twice shows in the length.
        headers = dict(raw_headers)
        if len(headers) != len(raw_headers):
            headers = single_values(raw_headers)
        # 2. Is it us they mean, and do they come from where they may?
        host = headers.get(b"host", b"")
        if host not in self._hosts and host.lower() not in self._hosts:
            raise Refused(421, Reason.HOST_FOREIGN, HOST_FOREIGN, host=loggable_host(host))
        origin = headers.get(b"origin")
        if origin is not None and not is_origin_ours(origin, self._origins):
            raise Refused(403, Reason.ORIGIN_FOREIGN, ORIGIN_FOREIGN)
        return headers

    async def _answer_without_message(self, exchange: HttpExchange) -> Answer | None:
        """Answer whatever is no POST."""
        method: str = exchange.scope["method"]
        if method == "OPTIONS":  # one without Access-Control-Request-Method, or it would have been answered before
            return 204, None, (self._allow(),)
        if method not in self._methods:
            raise Refused(
                405, Reason.HTTP_METHOD_NOT_ALLOWED, f"Send {', '.join(self._methods)}.", headers=(self._allow(),)
            )
        era = self.handshake_era
        assert era is not None  # noqa: S101 - without sessions both are refused at once; tells mypy
        if method == "DELETE":
            return await era.end(exchange)
        await era.listen(exchange, self._admission(exchange))
        return None

    async def _serve(  # noqa: C901 - in one piece, because each function more is a frame more on every call
        self, exchange: HttpExchange, request: Request, version: str | None, *, is_modern: bool
    ) -> Answer | ChangeStream | None:
        """Answer a request, whatever happens, with its own id; results as of `_answer`."""
        try:
            if is_modern:
                revision = modern.check_request(
                    request,
                    header_version=version,
                    method_header=exchange.headers.get(b"mcp-method"),
                    name_header=exchange.headers.get(b"mcp-name"),
                )
            else:
                revision = exchange.revision = handshake.revision_of_request(request, version)
            answering = self.target.answer(request, revision, exchange)
            try:
                # Most tools never wait for anything, so the first step is taken by hand: what ends in it costs no task,
                # nobody can cancel it, and it is registered nowhere.
                awaited = answering.send(None)
            except StopIteration as finished:
                result = finished.value
            else:
                # The answer to `initialize` has a header that names the session, for which it would be too late.
                keep_alive = None if request.method == "initialize" else self.keep_alive
                result = await exchange.go_on(answering, awaited, self.open_scopes, keep_alive)
            if isinstance(result, Subscription):
                return await self._opened(result, exchange)
            answer: Answer = 200, self._written(request, result), ()
            if request.method == "initialize" and self.handshake_era is not None:
                answer = 200, answer[1], await self.handshake_era.start(request, result, revision, exchange)
        except ClientDisconnected:
            raise
        except RequestCancelled as error:
            if exchange.session is not None:
                # The client or the end of its session cancelled it: an event stream without a message.
                await exchange.finish(None)
                return None
            answer = self._error_answer(error, exchange.scope)
        except Exception as error:  # noqa: BLE001 - what a target lets through is a fault of ours, and still answered
            if isinstance(error, SessionLost) and self.handshake_era is not None:
                error = await self.handshake_era.lost(exchange)
            answer = self._error_answer(error, exchange.scope, request, is_modern=is_modern)
        if exchange.stream is None:
            # What a task that the tool left behind sends from now on goes nowhere.
            exchange.is_closed = True
            return answer
        await exchange.finish(None if exchange.is_closed else answer[1])
        return None

    async def _opened(self, subscription: Subscription, exchange: HttpExchange) -> ChangeStream:
        """Return the stream of a subscription that has begun; raises TooManySubscriptions."""
        stream = ChangeStream(subscription, exchange)
        await stream.begin(self.keep_alive, self._admission(exchange))
        return stream

    def _admission(self, exchange: HttpExchange) -> StreamAdmission:
        return StreamAdmission(self.guard, exchange.scope, exchange.principal)

    async def _take(self, message: Notification | Response, version: str | None, exchange: HttpExchange) -> Answer:
        """Take a message that is owed no answer."""
        revision = eras.revision_of_one_way(version)
        if self.handshake_era is not None and not revision.modern:
            session = await self.handshake_era.session_of(exchange.headers, exchange.principal, exchange.scope)
            if session is not None:
                if await self.handshake_era.take(message, session):
                    return ACCEPTED
                exchange = exchange.of_session(session.session_fingerprint)
        if isinstance(message, Notification):
            noticing = self.target.notice(message, revision, exchange)
            await run_while_connected(noticing, exchange.receive, exchange, self.open_scopes)
        elif revision.modern:
            # basic/transports/streamable-http, "Sending Messages": there are no requests to respond to.
            raise InvalidJsonRpcRequest("Clients of this revision send requests and notifications only.")
        return ACCEPTED

    def _error_answer(
        self, error: Exception, scope: Scope, request: Request | None = None, *, is_modern: bool = True
    ) -> Answer:
        """Return the answer to a request that failed; before its era is known, errors have one status in both."""
        if CURRENT_REQUEST.get() is None:
            CURRENT_REQUEST.set((self._ids, scope, UNASKED))
        request_id, address = None if request is None else request.id, partial(self.addresses.of, scope)
        if self.telemetry is not None:
            reason = reason_of(error, is_known=UNKNOWN_CALLER not in scope)
            self.telemetry.count(REFUSALS, {"endpoint": "mcp", "reason": reason.value})
        if isinstance(error, InsufficientScope):
            return step_up(self.guard, error.scopes, request_id, address, scope=scope)
        answer = error_answer(error, request_id, is_modern=is_modern, random_bytes=self.random_bytes, address=address)
        if answer is not None:
            return answer
        what = "the endpoint failed" if request is None else "the target failed"
        return 500, error_response(self._incident(what, error), request_id), ()

    def _written(self, request: Request, result: ResultBody) -> bytes:
        try:
            return result_response(request.id, result)
        except (TypeError, ValueError, RecursionError) as error:
            raise self._incident("a result cannot be written as JSON", error) from error

    def _incident(self, what: str, error: Exception) -> InternalError:
        """Log a fault of ours and return the error that tells the client no more than where to look."""
        incident = incident_id(self.random_bytes)
        logger.error(
            "incident %s: %s",
            incident,
            what,
            exc_info=ScrubbedTraceback(error),
            extra={"reason": Reason.INTERNAL_ERROR.value, "incident": incident},
        )
        return InternalError(f"Something went wrong on the server; its log explains it as incident {incident}.")
