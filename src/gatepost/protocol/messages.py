"""JSON-RPC messages: what a body is, and how an answer is written (JSON-RPC 2.0, sections 4 and 5; MCP basic)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gatepost.late_dataclass import dataclass
from gatepost.protocol import strict_json
from gatepost.protocol.errors import InvalidJsonRpcRequest, ProtocolError, RequestId
from gatepost.protocol.json_encoding import encode, whole_text

LONGEST_REQUEST_ID = 256
_LONGEST_REASON = 200
"""In characters. Every answer repeats the id, so it is not for the client to choose how long answers are."""
_ABSENT = object()
_MEMBERS = frozenset({"jsonrpc", "id", "method", "params", "result", "error"})


# Not frozen: a frozen dataclass takes three times as long to build, and one is built per request.
@dataclass(slots=True)
class Request:
    """A message that is owed one response."""

    id: RequestId
    method: str
    params: dict[str, Any]
    """Empty when the message had none."""


@dataclass(slots=True)
class Notification:
    """A message that is never answered."""

    method: str
    params: dict[str, Any]
    """Empty when the message had none."""


@dataclass(slots=True)
class Response:
    """A client's answer to a request of the server's (handshake era only)."""

    id: RequestId | None
    """None when the client could not tell which request its error is about."""
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    """Exactly one of the two is there."""


Message = Request | Notification | Response


def parse_message(raw: bytes) -> Message:
    """Return the one message in a request body.

    Raises:
        ParseError: it is not JSON.
        InvalidJsonRpcRequest: it is something else than one JSON-RPC 2.0 message, or exceeds a bound (`strict_json`).
    """
    try:
        body = strict_json.load(raw)
    except strict_json.CannotBeRead as error:
        identifier = error.document.get("id") if type(error.document) is dict else None
        raise InvalidJsonRpcRequest(str(error), request_id=_readable(identifier)) from error
    if type(body) is not dict:
        # Revision 2025-03-26 had batches, and the next one took them back; they are not worth a second way in.
        raise InvalidJsonRpcRequest("The body must be one JSON-RPC message, a JSON object; batches are not supported.")
    identifier = body.get("id", _ABSENT)
    readable = _readable(identifier)
    if body.get("jsonrpc") != "2.0":
        raise InvalidJsonRpcRequest('"jsonrpc" must be "2.0".', request_id=readable)
    if not body.keys() <= _MEMBERS and any(name.casefold() in _MEMBERS for name in body.keys() - _MEMBERS):
        # Some readers take these for the members that they look like, and let the last one count: those in Go do.
        raise InvalidJsonRpcRequest("A member differs from one of JSON-RPC in its case only.", request_id=readable)
    method = body.get("method", _ABSENT)
    if method is _ABSENT:
        return _parse_response(body, readable)
    params = body.get("params")
    if params is None:
        # JSON-RPC leaves `params` out when there are none; several languages write an empty map as null.
        params = {}
    if type(method) is not str or type(params) is not dict or "result" in body or "error" in body:
        raise InvalidJsonRpcRequest(
            'A request has a string "method", an object as "params" if any, and neither "result" nor "error".',
            request_id=readable,
        )
    if identifier is _ABSENT:
        return Notification(method, params)
    if readable is None:
        raise InvalidJsonRpcRequest(f'"id" must be an integer or a string of at most {LONGEST_REQUEST_ID} characters.')
    return Request(readable, method, params)


def cancellation_reason(params: Mapping[str, Any]) -> str:
    """Return the reason in a `notifications/cancelled`, cut for a log; the client's words, empty when it gave none."""
    reason = params.get("reason")
    return reason[:_LONGEST_REASON] if type(reason) is str else ""


def result_response(request_id: RequestId, result: Mapping[str, Any] | orjson.Fragment) -> bytes:
    """Return a response with a result, which may be JSON already; raises as `notification` does."""
    return encode({"jsonrpc": "2.0", "id": request_id, "result": result})


def error_response(error: ProtocolError, request_id: RequestId | None = None) -> bytes:
    """Return a response with an error; raises as `notification` does.

    It repeats the id of the request, `request_id` or what the error knows of it; where neither is known there is no
    `id` member (MCP basic, "Error Responses"; the schema knows no null).
    """
    identifier = request_id if request_id is not None else error.request_id
    response: dict[str, Any] = {"jsonrpc": "2.0"}
    if identifier is not None:
        response["id"] = identifier
    response["error"] = error.body()
    return encode(response)


def notification(method: str, params: Mapping[str, Any]) -> bytes:
    """Return a notification to the client.

    Raises TypeError or ValueError: JSON has no form for something in it, or it refers to itself.
    """
    return encode({"jsonrpc": "2.0", "method": method, "params": params})


def request_message(request_id: str, method: str, params: Mapping[str, Any]) -> bytes:
    """Return a request to the client (handshake era only); raises as `notification` does."""
    return encode({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})


def is_progress_token(value: object) -> bool:
    """Say whether a request may ask for progress under this token: what may be an id, for every report repeats it."""
    return type(value) is int or (type(value) is str and len(value) <= LONGEST_REQUEST_ID)


def _readable(identifier: object) -> RequestId | None:
    """Return what may be an id, as an answer can repeat it."""
    # `type`, not `isinstance`: to Python true is an integer, to JSON-RPC it is none. What was read holds none that is
    # wider than 64 bits (`strict_json`).
    if type(identifier) is int:
        return identifier
    if type(identifier) is str and len(identifier) <= LONGEST_REQUEST_ID and whole_text(identifier) == identifier:
        return identifier
    return None


def _parse_response(body: dict[str, Any], identifier: RequestId | None) -> Response:
    result, error = body.get("result"), body.get("error")
    if ("result" in body) == ("error" in body) or type(error if "error" in body else result) is not dict:
        raise InvalidJsonRpcRequest(
            'A message has a "method", or else one object as "result" or "error".', request_id=identifier
        )
    if identifier is None and ("result" in body or body.get("id") is not None):
        raise InvalidJsonRpcRequest('The "id" of a response must be that of its request.')
    return Response(identifier, result, error)
