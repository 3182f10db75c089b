"""What a remote server's refusal means: what its status and body say of a request, its session, or the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from gatepost.fronts.backend import BackendUnavailable, RequestNotTaken
from gatepost.protocol.errors import ApplicationError, InvalidJsonRpcRequest, MethodNotFound

RETRY_SECONDS: Final = 5
"""When to try again what a server that cannot be reached did not answer."""
LONGEST_RETRY_SECONDS: Final = 3600
_SERVER_ERROR: Final = -32000
_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY = 400, 401, 403, 404, 429
_REDIRECTS: Final = range(300, 400)
_FAULTS: Final = range(500, 600)


def refusal(status: int, headers: Mapping[str, str], body: bytes, *, in_session: bool) -> Exception:
    """Return what a status other than 2xx means for the request that it answers.

    Args:
        status: of the answer.
        headers: of the answer, in lower case.
        body: of the answer.
        in_session: whether the request named a session.

    Returns:
        RequestNotTaken: the session is over (404, or 400 as the TypeScript SDK's examples have it).
        ApplicationError: the server's own JSON-RPC error, for the client.
        BackendUnavailable: anything else; a sentence for the operator.
    """
    error = _json_rpc_error(body)
    if in_session and _is_lost_session(status, error, body):
        return RequestNotTaken(f"The server knows the session no more ({status}).")
    if error is not None and status not in (_UNAUTHORIZED, _FORBIDDEN):
        return ApplicationError(error)
    if status in _REDIRECTS:
        return BackendUnavailable(f"It redirects ({status}), which is not followed: name the address that it leads to.")
    if status in (_UNAUTHORIZED, _FORBIDDEN):
        return BackendUnavailable(f"It answers {status}: it does not take the credentials that it is given, or none.")
    if status in _FAULTS or status == _TOO_MANY:
        return BackendUnavailable(f"It answers {status}.", retry_after=_retry_after(headers))
    return BackendUnavailable(f"It answers {status}, which no MCP endpoint answers to this: look at the address.")


def _is_lost_session(status: int, error: Mapping[str, Any] | None, body: bytes) -> bool:
    """Say whether a refusal is one of the session (2025-11-25 basic/transports, "Session Management").

    The specification wants 404. Servers made after the TypeScript SDK's examples answer 400 with -32000, older ones of
    the Python SDK 400 with a sentence.
    """
    code = None if error is None else error["code"]
    if status == _NOT_FOUND:
        return code != MethodNotFound.code
    if status != _BAD_REQUEST:
        return False
    return code == _SERVER_ERROR or (code in (None, InvalidJsonRpcRequest.code) and b"session" in body.lower())


def _json_rpc_error(body: bytes) -> dict[str, Any] | None:
    """Return the error of a JSON-RPC error response, whatever its id; None if the body is none."""
    try:
        error = orjson.loads(body)["error"]
    except (ValueError, TypeError, KeyError):
        return None
    is_error = type(error) is dict and type(error.get("code")) is int and type(error.get("message")) is str
    return error if is_error else None


def _retry_after(headers: Mapping[str, str]) -> int:
    """Return the seconds of `Retry-After` (RFC 9110 section 10.2.3), or a guess."""
    text = headers.get("retry-after", "")
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else RETRY_SECONDS  # noqa: PLR2004 - digits
    return min(max(seconds, 1), LONGEST_RETRY_SECONDS)
