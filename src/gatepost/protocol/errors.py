"""Errors of the protocol, one class per JSON-RPC code (JSON-RPC 2.0 section 5.1; MCP 2026-07-28 basic, "Error Codes").

    ProtocolError                          code     modern era   handshake era
    ├── ParseError                        -32700        400           400
    ├── InvalidJsonRpcRequest             -32600        400           400
    ├── MethodNotFound                    -32601        404           200
    ├── InvalidParams                     -32602        400           200
    ├── InternalError                     -32603        200           200
    ├── HeaderMismatch                    -32020        400           400
    ├── UnknownResource                   -32002         -            200
    ├── MissingRequiredClientCapability   -32021        400           200
    ├── UnsupportedProtocolVersion        -32022        400           400
    └── ApplicationError                  its own    as the code above says, else 200

The two columns are HTTP statuses. The modern ones stand in the specification (basic/transports/streamable-http; basic,
"_meta"), except that of an internal error: there the exchange itself worked, and proxies replace the body of a 5xx. In
the handshake era clients read the body of a 200 only, so whatever answers one request is a 200 and whatever says that
the HTTP exchange itself was wrong is a 400.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

RequestId = str | int
"""What pairs a response with its request; never null in MCP."""

_LONGEST_ECHO = 64  # characters of what the client sent that an error repeats


class ProtocolError(Exception):
    """Base: a JSON-RPC error with the HTTP status that carries it.

    Args:
        message: one short sentence for the client's developer; it holds nothing that the client sent.
        data: the error's `data` member, or None to leave it out.
        request_id: the id of the request when it was readable; errors carry it back.
    """

    code: ClassVar[int]
    modern_status: ClassVar[int] = 400
    handshake_status: ClassVar[int] = 400

    def __init__(
        self, message: str, *, data: Mapping[str, Any] | None = None, request_id: RequestId | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.data = data
        self.request_id = request_id

    def status(self, *, modern: bool) -> int:
        """Return the HTTP status of the answer."""
        return self.modern_status if modern else self.handshake_status

    def body(self) -> dict[str, Any]:
        """Return the JSON-RPC `error` member."""
        member: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.data is not None:
            member["data"] = self.data
        return member


class ParseError(ProtocolError):
    """The body is not JSON."""

    code = -32700


class InvalidJsonRpcRequest(ProtocolError):
    """Invalid Request: the body is JSON, but not one JSON-RPC message that this server takes."""

    code = -32600


class MethodNotFound(ProtocolError):
    """The method does not exist in this revision, or this server does not offer it."""

    code = -32601
    modern_status = 404
    handshake_status = 200


class InvalidParams(ProtocolError):
    """The parameters are not what the method takes."""

    code = -32602
    handshake_status = 200


class InternalError(ProtocolError):
    """A fault on this side; the message names an incident that the log explains."""

    code = -32603
    modern_status = 200
    handshake_status = 200


class UnknownResource(ProtocolError):
    """Resource not found: handshake era. The modern one has `InvalidParams` for it (server/resources).

    The specification has the URI that was asked for repeated in `data`.
    """

    code = -32002
    handshake_status = 200

    def __init__(self, uri: str) -> None:
        super().__init__("Resource not found", data={"uri": uri})


class HeaderMismatch(ProtocolError):
    """A header is missing or says something else than the body (streamable-http, "Server Validation")."""

    code = -32020


class MissingRequiredClientCapability(ProtocolError):
    """The request needs a capability that its client has not declared (basic, "_meta").

    The handshake era has no code for that; this one is free there, and its clients show the message. `required` has the
    missing capabilities, shaped like `ClientCapabilities`: `{"sampling": {}}`.
    """

    code = -32021
    handshake_status = 200

    def __init__(self, required: Mapping[str, Any], *, request_id: RequestId | None = None) -> None:
        names = ", ".join([*required.get("extensions", ()), *(name for name in required if name != "extensions")])
        super().__init__(
            f"This needs a client capability that the client did not declare: {names}.",
            data={"requiredCapabilities": required},
            request_id=request_id,
        )


class UnsupportedProtocolVersion(ProtocolError):
    """The request is in a revision that this server does not speak (basic/versioning).

    The specification has `requested`, the version asked for, repeated in `data`; a long one is cut. `supported` has the
    versions this server speaks, newest first.
    """

    code = -32022

    def __init__(self, requested: str, *, supported: Sequence[str], request_id: RequestId | None = None) -> None:
        super().__init__(
            "Unsupported protocol version",
            data={"supported": list(supported), "requested": requested[:_LONGEST_ECHO]},
            request_id=request_id,
        )


class ApplicationError(ProtocolError):
    """An error that the code behind the endpoint chose itself, passed on as it is."""

    def __init__(self, error: Mapping[str, Any], *, request_id: RequestId | None = None) -> None:
        super().__init__(str(error["message"]), request_id=request_id)
        self._error = dict(error)

    def status(self, *, modern: bool) -> int:
        """Return the status that the error's code has when this server raises it, else 200."""
        same = _BY_CODE.get(self._error["code"])
        return 200 if same is None else same.modern_status if modern else same.handshake_status

    def body(self) -> dict[str, Any]:
        """Return the error as it was given."""
        return self._error


_BY_CODE: Mapping[int, type[ProtocolError]] = {
    error.code: error for error in ProtocolError.__subclasses__() if error is not ApplicationError
}


def is_defined(code: object) -> bool:
    """Say whether a JSON-RPC code is one of the classes above, of which there are few; others anybody may choose."""
    return type(code) is int and code in _BY_CODE
