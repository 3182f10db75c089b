"""The answers of the MCP endpoint on their way out: bytes, headers, and the log line of a refusal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

import orjson
from starlette.types import Receive, Send

from gatepost.oauth.reasons import Reason
from gatepost.protocol.errors import (
    HeaderMismatch,
    InternalError,
    InvalidJsonRpcRequest,
    InvalidParams,
    MethodNotFound,
    MissingRequiredClientCapability,
    ParseError,
    ProtocolError,
    RequestId,
    UnknownResource,
    UnsupportedProtocolVersion,
)
from gatepost.protocol.messages import error_response
from gatepost.server.calls.cancellation import RequestCancelled
from gatepost.server.errors import InsufficientScope
from gatepost.stores.contract.errors import StoreConnectionsTaken, StoreUnavailable
from gatepost.telemetry.request_ids import incident_id
from gatepost.tokens.opaque import RandomBytes
from gatepost.web.mcp.exchange.headers import JSON, accepts_json, is_json
from gatepost.web.resource.refused import BearerRefused
from gatepost.web.site.errors import RETRY_AFTER, ScrubbedTraceback, store_unavailable_text
from gatepost.web.site.plain_answers import PlainHead, PlainWriter
from gatepost.web.site.request_body import BodyTooLarge, BodyTooSlow

logger = logging.getLogger("gatepost.mcp")

RawHeaders = Iterable[tuple[bytes, bytes]]
Answer = tuple[int, bytes | None, RawHeaders]
"""The status, the JSON body or None, and the headers beside those that every answer has."""

ACCEPTED: Answer = (202, None, ())
"""The answer to a message that is owed none."""

_NO_STORE = (b"cache-control", b"no-store")
PLAIN = PlainHead((b"content-type", b"application/json"), _NO_STORE, (b"x-content-type-options", b"nosniff"))
"""The headers of every answer with a body, beside its length."""
_NO_CONTENT = 204
_NO_BODY = {"type": "http.response.body", "body": b""}

_REASONS = {
    ParseError: Reason.MESSAGE_MALFORMED,
    InvalidJsonRpcRequest: Reason.MESSAGE_MALFORMED,
    MethodNotFound: Reason.RPC_METHOD_UNKNOWN,
    InvalidParams: Reason.RPC_PARAMETERS_INVALID,
    UnknownResource: Reason.RPC_PARAMETERS_INVALID,
    HeaderMismatch: Reason.MCP_HEADER_MISMATCH,
    MissingRequiredClientCapability: Reason.CLIENT_CAPABILITY_MISSING,
    UnsupportedProtocolVersion: Reason.PROTOCOL_VERSION_UNSUPPORTED,
}
_OTHER_REASONS: Final = (
    *_REASONS.items(),
    (StoreConnectionsTaken, Reason.STORE_CONNECTIONS_TAKEN),
    (StoreUnavailable, Reason.STORE_UNAVAILABLE),
    (BodyTooLarge, Reason.BODY_TOO_LARGE),
    (BodyTooSlow, Reason.BODY_TOO_SLOW),
    (RequestCancelled, Reason.SHUTTING_DOWN),
)


class FastPath(PlainWriter, Protocol):
    """A way past ASGI's messages for one request, where its body is all here or its answer is plain.

    It is given the request's `receive` and `send`, and does nothing if they are not the server's own: then a layer in
    between wants to see what is sent.
    """

    is_verified: bool
    """Set once the request's token has verified: its connection is somebody's, whom the server knows."""

    def take_body(self, receive: Receive, limit: int) -> bytes | None:
        """Take the request's body; None, and nothing is taken, unless all of it is here, `limit` bytes at most."""
        ...

    def on_disconnect(self, receive: Receive, call: Callable[[], None]) -> bool:
        """Have `call` called once if the client disconnects before its answer is complete; False if that cannot be.

        The body has been read to its end.
        """
        ...

    def rest(self) -> None:
        """Let go of what only reading needs: from here on nobody calls `receive`, and no layer in between does."""
        ...

    def forget(self) -> None:
        """Call nothing any more."""
        ...

    def answer(self, send: Send, answer: Answer) -> bool:
        """Send an answer if it is plain, and say whether that was so; if not, nothing was done yet.

        Plain is one with status 200, a body, and no headers beside those of `PLAIN`.
        """
        ...

    def write(self, send: Send, data: bytes) -> bool:
        """Send more of an answer that was begun as a stream; False, and nothing is sent, where that has to wait."""
        ...


class Refused(Exception):
    """A request that is refused for what its HTTP says, before its message counts.

    Args:
        status: the HTTP status.
        reason: the stable reason code.
        message: for the client's developer.
        headers: more headers of the answer.
        host: the `Host` for the log, if it is what was wrong (`loggable_host`).
    """

    def __init__(
        self, status: int, reason: Reason, message: str, *, headers: RawHeaders = (), host: str | None = None
    ) -> None:
        super().__init__(message)
        self.host = host
        self.status = status
        self.reason = reason
        self.headers = headers
        # MCP basic/transports/streamable-http, "Security & Endpoint": the body may be a JSON-RPC error without an id.
        self.error = InvalidJsonRpcRequest(message)


def error_answer(
    error: Exception,
    request_id: RequestId | None,
    *,
    is_modern: bool,
    random_bytes: RandomBytes,
    address: Callable[[], str],
) -> Answer | None:
    """Return the answer to a request that ended with this error, logged; None for an error that nobody expects.

    Args:
        error: what it ended with.
        request_id: of the message; None where that is not known.
        is_modern: whether it is of the modern era.
        random_bytes: where the id of an incident comes from.
        address: says from where the request comes.
    """
    match error:
        case ProtocolError():
            # Those that are faults of ours have been logged by whoever found them.
            status, reason = error.status(modern=is_modern), _REASONS.get(type(error))
            if reason is not None:
                log_refusal(reason, status, address)
            return status, error_response(error, request_id), ()
        case BearerRefused():
            # RFC 6750 section 3. Its message has not been read yet, so the body is OAuth's and not JSON-RPC's.
            log_refusal(error.reason, error.status, address)
            return error.status, orjson.dumps(error.body), challenge_headers(error)
        case StoreUnavailable():
            return _store_unavailable(error, incident_id(random_bytes))
        case Refused():
            refused = error
        case BodyTooLarge():  # RFC 9110 section 15.5.14
            refused = Refused(413, Reason.BODY_TOO_LARGE, f"Send at most {error.limit} bytes.")
        case BodyTooSlow():  # RFC 9110 section 15.5.9
            close = ((b"connection", b"close"),)
            refused = Refused(408, Reason.BODY_TOO_SLOW, "Send the whole body at once.", headers=close)
        case RequestCancelled():
            retry = ((b"retry-after", b"5"),)
            refused = Refused(503, Reason.SHUTTING_DOWN, "The server is shutting down.", headers=retry)
        case _:
            return None
    log_refusal(refused.reason, refused.status, address, host=refused.host)
    return refused.status, error_response(refused.error), refused.headers


def reason_of(error: Exception, *, is_known: bool) -> Reason:
    """Return the reason of the answer to a request that ended with this error, for figures.

    `is_known` says whether the caller has shown a token.
    """
    if isinstance(error, InsufficientScope):
        return Reason.SCOPE_INSUFFICIENT if is_known else Reason.TOKEN_MISSING
    if isinstance(error, (BearerRefused, Refused)):
        return error.reason
    return next((reason for kind, reason in _OTHER_REASONS if isinstance(error, kind)), Reason.INTERNAL_ERROR)


def check_media_types(headers: Mapping[bytes, bytes]) -> None:
    """Raise Refused unless a message is JSON and its answer may be.

    The type is as strict as it is because browsers send others without asking first.
    """
    content_type = headers.get(b"content-type")
    if content_type != JSON and not is_json(content_type):
        raise Refused(415, Reason.CONTENT_TYPE_UNSUPPORTED, "Send Content-Type: application/json.")
    if not accepts_json(headers.get(b"accept")):
        raise Refused(406, Reason.NOT_ACCEPTABLE, "Send Accept: application/json, text/event-stream.")


def challenge_headers(refused: BearerRefused) -> RawHeaders:
    """Return the headers of a refusal, `WWW-Authenticate` above all."""
    return tuple((name.lower().encode("ascii"), value.encode("ascii")) for name, value in refused.headers)


def _store_unavailable(error: StoreUnavailable, incident: str) -> Answer:
    """Return 503: the store cannot say now whether the caller may; never 401 (RFC 9110 section 15.6.4)."""
    logger.error(
        "incident %s: the store cannot answer",
        incident,
        exc_info=ScrubbedTraceback(error),
        extra={"reason": reason_of(error, is_known=True).value, "incident": incident},
    )
    body = error_response(InternalError(store_unavailable_text(incident)))
    return 503, body, ((b"retry-after", b"%d" % RETRY_AFTER),)


def log_refusal(reason: Reason, status: int, address: Callable[[], str], *, host: str | None = None) -> None:
    """Log one refusal with reason, status and address; nothing that the client sent but a `Host` that is one."""
    if logger.isEnabledFor(logging.INFO):
        details = {"reason": reason.value, "status": status, "address": address(), "host": host}
        logger.info("refused: %s", reason.value, extra=details)


async def send_answer(send: Send, answer: Answer) -> None:
    """Send a whole answer."""
    status, body, headers = answer
    if body is None:
        # RFC 9110 section 8.6: none in a 204.
        length = () if status == _NO_CONTENT else ((b"content-length", b"0"),)
        await send({"type": "http.response.start", "status": status, "headers": [*length, _NO_STORE, *headers]})
        await send(_NO_BODY)
        return
    sized = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [sized, *PLAIN.headers, *headers]})
    await send({"type": "http.response.body", "body": body})
