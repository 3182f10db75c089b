"""The MCP endpoint: Streamable HTTP, both eras on one URL. The hot path.

A plain ASGI callable that the app dispatches to ahead of FastAPI's router. What does not depend on the request is
prepared before it comes, and nothing is built that nobody asked for: no `Request` object, no task, no log record.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import NoReturn

from starlette.requests import Request as HTTPRequest
from starlette.types import Receive, Scope, Send

from gatepost.oauth.reasons import Reason
from gatepost.protocol import eras, handshake, modern
from gatepost.protocol.errors import InternalError, InvalidJsonRpcRequest, ProtocolError
from gatepost.protocol.messages import (
    Notification,
    Request,
    Response,
    error_response,
    parse_message,
    result_response,
)
from gatepost.protocol.versions import Revision
from gatepost.resource.principal import Principal
from gatepost.server.calls.cancellation import RequestCancelled, Work
from gatepost.server.calls.context import set_current_subject
from gatepost.server.changes.subscriptions import Subscription
from gatepost.server.errors import InsufficientScope
from gatepost.server.target import Caller, Result, ResultBody, Target
from gatepost.stores.contract.errors import StoreUnavailable
from gatepost.tokens.opaque import RandomBytes
from gatepost.web.mcp.exchange.answers import (
    ACCEPTED,
    MESSAGES,
    Answer,
    Messages,
    RawHeaders,
    Refused,
    UsualMessages,
    bearer_refusal,
    challenge_headers,
    log_refusal,
    protocol_error,
    refusal,
    send_answer,
    store_unavailable,
)
from gatepost.web.mcp.exchange.event_stream import ResponseStream
from gatepost.web.mcp.exchange.headers import JSON, accepts_json, is_json, single_values
from gatepost.web.mcp.listeners import CallLater, Listeners
from gatepost.web.mcp.sessions.handshake_era import HandshakeEra
from gatepost.web.mcp.sessions.session_request import SessionRun
from gatepost.web.resource.bearer_guard import BearerGuard, BearerRefused
from gatepost.web.site.disconnect import run_while_connected
from gatepost.web.site.errors import scrubbed_traceback
from gatepost.web.site.front_door import LOOPBACK_ORIGIN, ORDINARY_HEADERS
from gatepost.web.site.request_body import BodyTooLarge, BodyTooSlow, ClientDisconnected, read_body

BODY_LIMIT = 4 * 1024 * 1024
"""The longest message that is read, in bytes, unless the endpoint is told otherwise."""

_USUAL_MESSAGES = UsualMessages()

logger = logging.getLogger("gatepost.mcp")


class McpEndpoint:
    """One MCP endpoint. See the numbered steps of `_answer`."""

    def __init__(
        self,
        *,
        target: Target,
        guard: BearerGuard | None,
        allowed_hosts: frozenset[str],
        allowed_origins: frozenset[str],
        required_scopes: frozenset[str] = frozenset(),
        body_limit: int = BODY_LIMIT,
        random_bytes: RandomBytes = secrets.token_bytes,
        call_later: CallLater | None = None,
        handshake_era: HandshakeEra | None = None,
        working: set[Work] | None = None,
    ) -> None:
        """Prepare everything that does not depend on a request.

        Args:
            target: what answers; its lifespan is opened by the app.
            guard: verifies bearer tokens; None serves everybody, and scopes then count for nothing.
            allowed_hosts: the `Host` values that are ours, in lower case, with the port where it is not the default.
            allowed_origins: the browser origins that may call, beside those on the machine's own loopback.
            required_scopes: what every request needs, whatever it asks for.
            body_limit: the longest message that is read, in bytes.
            random_bytes: where incident ids come from.
            call_later: runs what keeps streams alive, the event loop's by default.
            handshake_era: the sessions of the handshake era; without it its requests are served one by one.
            working: holds the work that waits for something, for whoever cancels all of it.
        """
        self._target = target
        self._guard = guard
        self._allowed_hosts = frozenset(host.encode("latin-1") for host in allowed_hosts)
        self._allowed_origins = frozenset(origin.encode("latin-1") for origin in allowed_origins)
        self._required_scopes = required_scopes
        self._body_limit = body_limit
        self._random_bytes = random_bytes
        self._listeners = Listeners(call_later=call_later)
        self._era = handshake_era
        self._working: set[Work] = set() if working is None else working
        self._methods = ("POST",) if handshake_era is None else ("GET", "POST", "DELETE")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        stream = ResponseStream(send)
        messages: Messages = scope.get(MESSAGES, _USUAL_MESSAGES)
        try:
            answer = await self._answer(scope, receive, stream, messages)
            if answer is None:
                return
        except ClientDisconnected:
            logger.debug("the client went away")
            return
        except (Refused, BodyTooLarge, BodyTooSlow) as refused:
            answer = refusal(refused)
        except BearerRefused as refused:
            answer = bearer_refusal(refused)
        except ProtocolError as error:
            # Before the era of a message is known, its errors have the same status in both.
            answer = protocol_error(error, is_modern=True)
        except StoreUnavailable as error:
            answer = store_unavailable(error)
        except Exception as error:  # noqa: BLE001 - the last resort: whatever it is, the client gets an answer
            answer = (500, error_response(self._incident("the endpoint failed", error)), ())
        if stream.is_open:
            await stream.finish(answer)
        elif not messages.answer(send, answer):
            await send_answer(send, answer)

    async def _answer(
        self, scope: Scope, receive: Receive, stream: ResponseStream, messages: Messages
    ) -> Answer | None:
        """Return the answer; None when it has gone out on `stream` already."""
        # 1. Method. Streams (GET) and sessions (DELETE) are of the handshake era.
        http_method: str = scope["method"]
        if http_method not in self._methods:
            raise self._wrong_method()
        raw_headers: list[tuple[bytes, bytes]] = scope["headers"]
        # 2. Headers, 3. Host and Origin: of an ordinary request they have been looked at.
        headers: Mapping[bytes, bytes] = scope.get(ORDINARY_HEADERS) or self._checked_headers(raw_headers)
        # 4. Who is it?
        principal: Principal | None = None
        if self._guard is not None:
            query_string: bytes = scope.get("query_string", b"")
            # A token that was verified a moment ago costs one look-up.
            principal = None if query_string else self._guard.cached(headers.get(b"authorization", b""))
            if principal is None:
                principal = await self._guard.verify(raw_headers, query_string)
            if not self._required_scopes <= principal.scopes:
                raise self._guard.insufficient_scope(self._required_scopes)
        set_current_subject(principal)
        if http_method != "POST":
            return await self._answer_without_message(scope, headers, principal, receive, stream)
        # 5. What is it? The type is as strict as it is because browsers send others without asking first.
        _check_media_types(headers)
        body = messages.take_body(receive, self._body_limit) or await read_body(receive, limit=self._body_limit)
        message = parse_message(body)
        # 6. Which era is it from, and what is the answer?
        header_version = eras.version_in_header(headers.get(b"mcp-protocol-version"))
        granted = None if principal is None else principal.scopes
        caller = Caller(principal, granted, headers, partial(_http_request, scope), stream)
        if not isinstance(message, Request):
            return await self._take(message, header_version, caller, receive)
        is_modern = eras.is_modern(message, header_version)
        if is_modern or self._era is None or message.method == "initialize":
            return await self._answered(message, header_version, caller, receive, is_modern=is_modern)
        return await self._exchange(self._era, message, header_version, caller, receive)

    def _wrong_method(self) -> Refused:
        allowed = ", ".join(self._methods)
        return Refused(405, Reason.HTTP_METHOD_NOT_ALLOWED, f"Send {allowed}.", headers=((b"allow", allowed.encode()),))

    def _checked_headers(self, raw_headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
        """Return the headers by name, unless they tell of a page of another site.

        DNS rebinding, RFC 9110 section 7.4.
        """
        # 2. Names are lower case already (ASGI). One that stands twice shows in the length.
        headers = dict(raw_headers)
        if len(headers) != len(raw_headers):
            headers = single_values(raw_headers)
        # 3. Is it us they mean, and do they come from where they may?
        host = headers.get(b"host", b"")
        if host not in self._allowed_hosts and host.lower() not in self._allowed_hosts:
            raise Refused(421, Reason.HOST_FOREIGN, "This server is not known by that Host.")
        origin = headers.get(b"origin")
        if origin is None or origin in self._allowed_origins:
            return headers
        if LOOPBACK_ORIGIN.fullmatch(origin.decode("latin-1")) is None:
            raise Refused(403, Reason.ORIGIN_FOREIGN, "Pages of this Origin may not call this server.")
        return headers

    async def _answer_without_message(
        self,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        principal: Principal | None,
        receive: Receive,
        stream: ResponseStream,
    ) -> Answer | None:
        """Answer a GET or a DELETE."""
        era = self._era
        assert era is not None  # noqa: S101 - without sessions both are refused at once; tells mypy
        if scope["method"] == "DELETE":
            return await era.end(headers, principal)
        is_verified = self._still_verified(scope)
        await era.listen(headers, principal, receive=receive, response=stream, is_verified=is_verified)
        return None

    def _still_verified(self, scope: Scope) -> Callable[[], Awaitable[bool]]:
        """Return what says, while a stream is open, whether the token that opened it still counts."""

        async def is_verified() -> bool:
            if self._guard is None:
                return True
            try:
                await self._guard.verify(scope["headers"], scope.get("query_string", b""))
            except BearerRefused:
                return False
            return True

        return is_verified

    async def _exchange(
        self, era: HandshakeEra, request: Request, header_version: str | None, caller: Caller, receive: Receive
    ) -> Answer | None:
        """Answer a request of the handshake era; None when the answer has gone out on the caller's line already."""
        # 1. Which session, if any?
        session = await era.session_of(caller.headers, caller.principal)
        if session is None:
            return await self._answered(request, header_version, caller, receive, is_modern=False)
        # 2. What the client agreed on counts where it does not say it again.
        assert isinstance(caller.line, ResponseStream)  # noqa: S101 - this endpoint made it; tells mypy
        run = era.run(request, session, caller, caller.line)
        version = header_version or session.revision
        try:
            answer = await self._answered(request, version, caller, receive, run, is_modern=False)
        except RequestCancelled:
            await run.finish_without_answer()
            return None
        except StoreUnavailable as error:
            answer = store_unavailable(error)
        return answer if run.is_silent else await run.finish(answer)

    async def _answered(
        self,
        request: Request,
        header_version: str | None,
        caller: Caller,
        receive: Receive,
        run: SessionRun | None = None,
        *,
        is_modern: bool,
    ) -> Answer:
        """Answer a request, whatever happens, with its own id."""
        try:
            if is_modern:
                revision = modern.check_request(
                    request,
                    header_version=header_version,
                    method_header=caller.headers.get(b"mcp-method"),
                    name_header=caller.headers.get(b"mcp-name"),
                )
            else:
                revision = handshake.revision_of_request(request, header_version)
            if run is not None:
                run.revision = revision
                result = await run.result_of(self._target.answer(request, revision, caller), self._working)
            else:
                result = await run_while_connected(
                    self._target.answer(request, revision, caller), receive, caller.line, self._working
                )
            if isinstance(result, Subscription):
                await self._listen(result, caller, receive)
            body = self._written(request, result)
            begun = await self._begun(request, result, revision, caller) if request.method == "initialize" else ()
        except ProtocolError as error:
            return protocol_error(error, is_modern=is_modern, request_id=request.id)
        except InsufficientScope as error:
            return self._step_up(request, error.scopes)
        except (ClientDisconnected, Refused, RequestCancelled, StoreUnavailable):
            raise
        except Exception as error:  # noqa: BLE001 - what a target lets through is a fault of ours, and still answered
            return 500, error_response(self._incident("the target failed", error), request.id), ()
        else:
            return 200, body, begun

    async def _begun(self, request: Request, result: Result, revision: Revision, caller: Caller) -> RawHeaders:
        """Return the header that names the session which an `initialize` begins, if it begins one."""
        if self._era is None:
            return ()
        return await self._era.start(request, result, revision, caller.principal)

    async def _listen(self, subscription: Subscription, caller: Caller, receive: Receive) -> NoReturn:
        """Serve a stream of changes until it ends. Whoever ended it, there is nobody to answer then."""
        assert isinstance(caller.line, ResponseStream)  # noqa: S101 - this endpoint made it; tells mypy
        assert caller.http_request is not None  # noqa: S101 - likewise
        is_verified = self._still_verified(caller.http_request().scope)
        await self._listeners.hold(subscription, caller.line, receive, is_verified)
        raise ClientDisconnected

    async def _take(
        self, message: Notification | Response, header_version: str | None, caller: Caller, receive: Receive
    ) -> Answer:
        """Take a message that is owed no answer."""
        revision = eras.revision_of_one_way(header_version)
        if self._era is not None and not revision.modern:
            session = await self._era.session_of(caller.headers, caller.principal)
            if session is not None and await self._era.take(message, session):
                return ACCEPTED
        if isinstance(message, Notification):
            noticing = self._target.notice(message, revision, caller)
            await run_while_connected(noticing, receive, caller.line, self._working)
        elif revision.modern:
            # basic/transports/streamable-http, "Sending Messages": there are no requests to respond to.
            raise InvalidJsonRpcRequest("Clients of this revision send requests and notifications only.")
        return ACCEPTED

    def _step_up(self, request: Request, scopes: frozenset[str]) -> Answer:
        """Answer 403 with a challenge that names every scope the operation needs, those of the endpoint too."""
        needed = self._required_scopes | scopes
        error = InvalidJsonRpcRequest(
            "The access token lacks a scope that this operation needs.",
            data={"error": "insufficient_scope", "scope": " ".join(sorted(needed))},
        )
        challenge = () if self._guard is None else challenge_headers(self._guard.insufficient_scope(needed))
        log_refusal(Reason.SCOPE_INSUFFICIENT, 403)
        return 403, error_response(error, request.id), challenge

    def _written(self, request: Request, result: ResultBody) -> bytes:
        try:
            return result_response(request.id, result)
        except (TypeError, ValueError, RecursionError) as error:
            raise self._incident("a result cannot be written as JSON", error) from error

    def _incident(self, what: str, error: Exception) -> InternalError:
        """Log a fault of ours and return the error that tells the client no more than where to look."""
        incident = self._random_bytes(8).hex()
        logger.error(
            "incident %s: %s\n%s",
            incident,
            what,
            scrubbed_traceback(error),
            extra={"reason": Reason.INTERNAL_ERROR.value, "incident": incident},
        )
        return InternalError(f"Something went wrong on the server; its log explains it as incident {incident}.")


def _check_media_types(headers: Mapping[bytes, bytes]) -> None:
    content_type = headers.get(b"content-type")
    if content_type != JSON and not is_json(content_type):
        raise Refused(415, Reason.CONTENT_TYPE_UNSUPPORTED, "Send Content-Type: application/json.")
    if not accepts_json(headers.get(b"accept")):
        raise Refused(406, Reason.NOT_ACCEPTABLE, "Send Accept: application/json, text/event-stream.")


def _http_request(scope: Scope) -> HTTPRequest:
    return HTTPRequest(scope)
