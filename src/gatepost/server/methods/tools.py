"""`tools/list` and `tools/call` (MCP server/tools)."""

from __future__ import annotations

from functools import partial
from typing import Any

from gatepost.protocol.errors import InvalidParams
from gatepost.protocol.header_values import check_mirrors
from gatepost.protocol.messages import Request
from gatepost.protocol.modern import finish_result
from gatepost.protocol.versions import Revision
from gatepost.server.calls.context import Context
from gatepost.server.calls.exchange import Exchange
from gatepost.server.calls.multi_round_trip import MultiRoundTrip
from gatepost.server.calls.upstream import SHOWN, shows
from gatepost.server.declared.declaration import failure_text
from gatepost.server.declared.results import error_result
from gatepost.server.declared.revisions import result_in
from gatepost.server.declared.tools import PLAIN_NAME, Tool
from gatepost.server.errors import InsufficientScope, InvalidArguments, InvalidResult
from gatepost.server.methods.served_server import ServedServer, check_scopes
from gatepost.server.target import Result

_MIRRORING = b"mcp-method"
"""The header that every HTTP request of the modern era has."""


async def list_tools(served: ServedServer, request: Request, revision: Revision, exchange: Exchange) -> Result:
    """Answer `tools/list`."""
    if served.registry.is_hooked:
        return await served.hooked_list(served.tool_list, request, revision, exchange)
    return served.tool_list.page(request.params, revision, exchange.shown)


async def call_tool(  # noqa: C901, PLR0912 - in one piece, because each function more is a frame more on every call
    served: ServedServer, request: Request, revision: Revision, exchange: Exchange
) -> Result:
    """Answer `tools/call`."""
    # 1. Which tool, and may the caller? All scopes are needed.
    params = request.params
    name = params.get("name")
    tool = served.tools.there.get(name) if type(name) is str else None
    if tool is None:
        raise _unknown_tool(name)
    principal = exchange.principal
    granted = exchange.granted if principal is None else principal.scopes
    if granted is not None and not tool.scopes <= granted:
        raise InsufficientScope(tool.scopes)
    # 2. With which arguments?
    arguments = params.get("arguments")
    if type(arguments) is not dict:
        arguments = _no_arguments(arguments)
    # Without headers that mirror the request, as on stdio and in the handshake era, nothing can disagree.
    if tool.mirrored and revision.modern and _MIRRORING in exchange.headers:
        check_mirrors(tool.mirrored, arguments, exchange.headers)
    # 3. Call it. A plain one cannot ask its client; what a client brings is looked at all the same.
    round_trip: MultiRoundTrip | None = None
    if not tool.is_plain or served.registry.is_hooked or "requestState" in params or "inputResponses" in params:
        round_trip = MultiRoundTrip(request, principal, served.seal) if revision.modern else None
        client = exchange.client_of(round_trip)
        make = partial(
            Context,
            client=client,
            params=params,
            state=served.server.state if tool.origin is None else tool.origin.state,
            tool=tool.name,
            upstream=served.upstream,
        )
        around = served.around("tool", tool) if served.registry.is_hooked else None
        work = tool.call(arguments, exchange, make, limits=served.limits, around=around)
    else:
        work = tool.call(arguments, exchange)
    try:
        result = await work
    except InvalidArguments as error:
        result = _invalid_arguments_result(error, revision)
    except BaseException as error:
        if round_trip is None:
            raise
        result = round_trip.result_after(error)
    else:
        if round_trip is not None:
            result = round_trip.result(result)
    if exchange.handed_out and shows(result, exchange.handed_out):
        result = _withheld_result(tool.name, served, exchange)
    if not revision.modern:
        return result_in(revision.version, result)
    return finish_result("tools/call", result, served.info)


def check_call(
    served: ServedServer, request: Request, revision: Revision, exchange: Exchange
) -> tuple[Tool, dict[str, Any]]:
    """Return the tool that `tools/call` is about, and the arguments, after what `call_tool` begins with.

    For whoever has to know before it calls that. Raises InvalidParams, InsufficientScope, HeaderMismatch, or
    InvalidArguments: they do not fit the tool.
    """
    name, arguments = request.params.get("name"), request.params.get("arguments")
    tool = served.tools.there.get(name) if type(name) is str else None
    if tool is None:
        raise _unknown_tool(name)
    check_scopes(exchange, tool)
    if type(arguments) is not dict:
        arguments = _no_arguments(arguments)
    if tool.mirrored and revision.modern and _MIRRORING in exchange.headers:
        check_mirrors(tool.mirrored, arguments, exchange.headers)
    tool.check_arguments(arguments)
    return tool, arguments


def _unknown_tool(name: object) -> InvalidParams:
    if not isinstance(name, str):
        return InvalidParams('"params.name" must be a string.')
    # The specification's own characters for names (server/tools, "Tool Names") are safe to repeat in an error.
    return InvalidParams(f"Unknown tool: {name}" if PLAIN_NAME.fullmatch(name) else "Unknown tool")


def _no_arguments(given: object) -> dict[str, Any]:
    if given is not None:
        raise InvalidParams('"params.arguments" must be an object.')
    return {}


def _invalid_arguments_result(error: InvalidArguments, revision: Revision) -> dict[str, Any]:
    if not revision.wrong_arguments_are_results:
        raise InvalidParams(str(error)) from error
    return error_result(str(error))


def _withheld_result(name: str, served: ServedServer, exchange: Exchange) -> dict[str, Any]:
    error = InvalidResult(SHOWN)
    return error_result(failure_text(f"tool {name}", error, exchange, served.random_bytes, tool=name))
