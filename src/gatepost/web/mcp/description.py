"""What `/openapi.json` says of an MCP endpoint, whose requests are JSON-RPC and not described one by one there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gatepost.web.site import api_description as api
from gatepost.web.site.routing import Route

_MESSAGE: Final = api.record(
    {
        "jsonrpc": api.text("The version of JSON-RPC.", const="2.0"),
        "id": {"type": ["string", "integer"], "description": "Of the request; a notification has none."},
        "method": api.text("Such as `tools/list` or `tools/call`."),
        "params": {"type": "object", "description": "As the method takes them (MCP, schema)."},
    },
    required=["jsonrpc"],
)
_TAG: Final = "MCP"
_EVENTS: Final = {"text/event-stream": {"schema": api.TEXT}}
_NO_TOKEN: Final = api.record({"detail": api.text("What to send.")}, required=["detail"])
"""Without credentials there is no error code (RFC 6750 section 3.1)."""
_UNKNOWN_CALLER: Final = api.challenged(
    api.json_answer("No token, or one that does not count (RFC 6750 section 3).", {"anyOf": [api.ERROR, _NO_TOKEN]})
)
_SESSION: Final = {**api.in_query("Mcp-Session-Id", "Of the session.", required=True), "in": "header"}
_REFUSALS: Final[api.Responses] = {
    400: api.json_answer("The message is none, or contradicts its headers: a JSON-RPC error.", _MESSAGE),
    401: _UNKNOWN_CALLER,
    403: api.challenged(api.refusal("The token lacks a scope, which the challenge names; or the origin is foreign.")),
    404: api.json_answer("There is no such session: a JSON-RPC error.", _MESSAGE),
}
_EXAMPLE: Final = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}


def described_endpoints(paths: Iterable[str]) -> Iterator[Route]:
    """Yield for the API description what is served at MCP endpoints with these paths."""
    for number, path in enumerate(paths):
        # An `operationId` is unique in the whole document (OpenAPI 3.1, Operation Object).
        mark = "" if number == 0 else f"_{number + 1}"
        yield Route("POST", path, _elsewhere, _send(f"mcp{mark}"))
        yield Route("GET", path, _elsewhere, _listen(f"mcp_stream{mark}"))
        yield Route("DELETE", path, _elsewhere, _end(f"mcp_end_session{mark}"))


def _send(name: str) -> api.Operation:
    answer = api.json_answer("The JSON-RPC response; a stream of events where others come before it.", _MESSAGE)
    return api.Operation(
        name,
        "Send a JSON-RPC message (MCP basic/transports, Streamable HTTP)",
        tag=_TAG,
        request_body=api.json_body(_MESSAGE, example=_EXAMPLE),
        responses={
            200: {**answer, "content": {**answer["content"], **_EVENTS}},
            202: {"description": "The notification or response is taken."},
            **_REFUSALS,
            413: api.json_answer("The message is larger than 4 MiB.", _MESSAGE),
            415: api.json_answer("The body is not `application/json`.", _MESSAGE),
            503: api.later(api.refusal("The store, or the issuer of the token, cannot answer now.")),
        },
    )


def _listen(name: str) -> api.Operation:
    return api.Operation(
        name,
        "Listen to a session (revisions up to 2025-11-25)",
        tag=_TAG,
        parameters=[_SESSION],
        responses={200: {"description": "A stream of events.", "content": _EVENTS}, **_REFUSALS},
    )


def _end(name: str) -> api.Operation:
    return api.Operation(
        name,
        "End a session (revisions up to 2025-11-25)",
        tag=_TAG,
        parameters=[_SESSION],
        responses={200: {"description": "It is over."}, **_REFUSALS},
    )


async def _elsewhere(request: Request) -> Response:
    raise NotImplementedError(f"{request.url.path} is an endpoint: the routing table has it, and not as a route")
