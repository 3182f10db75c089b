"""JSON-RPC handlers: a bare function behind an endpoint, `handler(message: dict) -> dict | None`, sync or async.

The function gets the message as the client sent it, with two members more: `"subject"`, who calls, and `"scopes"`, the
list of what their token allows. It returns a JSON-RPC response, or None when it has no answer. To what every MCP server
has to answer and few such functions do (`initialize`, `ping`, `server/discover`), the engine then gives an answer.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import KW_ONLY, field
from typing import Any, Final

from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import ApplicationError, InternalError, MethodNotFound
from gatepost.protocol.handshake import initialize_result
from gatepost.protocol.messages import Notification, Request
from gatepost.protocol.modern import discover_result, finish_result, permitted_code
from gatepost.protocol.versions import HANDSHAKE, Revision
from gatepost.server.calls.callers import ANONYMOUS
from gatepost.server.calls.cancellation import is_cancellation
from gatepost.server.calls.exchange import Exchange
from gatepost.server.calls.worker_threads import run_in_thread
from gatepost.server.errors import InsufficientScope
from gatepost.server.objections import objection_to
from gatepost.server.target import Result
from gatepost.telemetry.request_ids import incident_id
from gatepost.tokens.opaque import RandomBytes

Handler = Callable[[dict[str, Any]], Any]
"""`dict -> dict | None`, or `dict -> Awaitable[dict | None]`."""

logger = logging.getLogger("gatepost.mcp")

_CAPABILITIES: Final[Mapping[str, Any]] = {"tools": {}}
# The client chose the method's name; one of another shape is not written to the log.
_PLAIN_METHOD = re.compile(r"[A-Za-z/_]{1,64}")


@dataclass(slots=True, eq=False)
class HandlerTarget:
    """A JSON-RPC function behind an endpoint; raises TypeError if it cannot be called, or is an ASGI application."""

    handler: Handler
    """The function; a sync one runs in a worker thread."""
    _: KW_ONLY
    name: str
    """The server's name, where the function does not say it; the next two likewise."""
    version: str = "0.0.0"
    instructions: str | None = None
    """For the model."""
    random_bytes: RandomBytes = secrets.token_bytes
    """Where incident ids come from."""
    _is_async: bool = field(init=False)
    _server_info: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        """Refuse what is no handler."""
        if (objection := objection_to(self.handler)) is not None:
            raise TypeError(objection)
        self._is_async = _is_async(self.handler)
        self._server_info = {"name": self.name, "version": self.version}

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def answer(self, request: Request, revision: Revision, exchange: Exchange) -> Result:
        """Ask the function, and complete its answer for the client's revision."""
        # 1. Ask the function.
        message = {"jsonrpc": "2.0", "id": request.id, "method": request.method, "params": request.params}
        response = await self._ask(message, exchange)
        # 2. Is its answer one?
        fault = None if response is None else _fault(response, request.id)
        if fault is not None:
            raise self._incident(f"the handler's answer is no JSON-RPC response: {fault}", request.method)
        # 3. It may have none.
        chosen = None if response is None else response.get("error")
        if response is None or (chosen is not None and chosen["code"] == MethodNotFound.code):
            default = self._default(request, revision)
            if default is not None:
                return default
        if response is None:
            raise MethodNotFound("This server has no such method.")
        if chosen is not None:
            raise ApplicationError({**chosen, "code": permitted_code(chosen["code"])} if revision.modern else chosen)
        # 4. Complete it for the client's revision.
        return self._completed(request, revision, response["result"])

    async def drain(self) -> None:
        """Do nothing: a function is asked and answers."""

    async def notice(self, notification: Notification, revision: Revision, exchange: Exchange) -> None:
        """Hand a notification to the function. What it returns has nowhere to go."""
        del revision  # a notification has one shape in all of them
        message = {"jsonrpc": "2.0", "method": notification.method, "params": notification.params}
        with suppress(InternalError):  # which is in the log, and has nowhere else to go
            await self._ask(message, exchange)

    async def _ask(self, message: dict[str, Any], exchange: Exchange) -> Any:
        principal = exchange.principal
        message["subject"] = ANONYMOUS if principal is None else principal.subject
        message["scopes"] = [] if principal is None else sorted(principal.scopes)
        what = "the handler failed after its request was cancelled"
        late_failure = functools.partial(self._incident, what, message["method"])
        try:
            if self._is_async:
                return await self.handler(message)
            response = await run_in_thread(functools.partial(self.handler, message), late_failure)
            # A plain function may still return a coroutine: a lambda around an async one, for instance.
            return await response if inspect.isawaitable(response) else response
        except InsufficientScope:
            raise
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            # A handler's sys.exit() must not end the server.
            if is_cancellation(error):
                raise
            raise self._incident("the handler failed", message["method"], error) from error

    def _default(self, request: Request, revision: Revision) -> Result | None:
        """Return what the engine answers in the function's place, or None."""
        info, instructions = self._server_info, self.instructions
        if request.method == "server/discover" and revision.modern:
            return discover_result(capabilities=_CAPABILITIES, server_info=info, instructions=instructions)
        if request.method == "initialize":
            return initialize_result(revision, capabilities=_CAPABILITIES, server_info=info, instructions=instructions)
        return {} if request.method == "ping" else None

    def _completed(self, request: Request, revision: Revision, result: dict[str, Any]) -> Result:
        """Return the function's result with what its author could leave out and clients insist on."""
        if request.method == "initialize" and result.get("protocolVersion") not in HANDSHAKE:
            # The endpoint speaks the protocol, so a version that it does not speak cannot be agreed on.
            result = {**result, "protocolVersion": revision.version}
        elif request.method == "tools/list" and type(result.get("tools")) is list:
            result = {**result, "tools": [_with_schema(tool) for tool in result["tools"]]}
        return finish_result(request.method, result, self._server_info) if revision.modern else result

    def _incident(self, what: str, method: str, error: BaseException | None = None) -> InternalError:
        """Log a fault of the function and return the error that tells the client no more than where to look."""
        incident = incident_id(self.random_bytes)
        logger.error(
            "incident %s: %s",
            incident,
            what,
            exc_info=error,
            extra={"incident": incident, "rpc_method": method if _PLAIN_METHOD.fullmatch(method) else None},
        )
        return InternalError(f"Something went wrong on the server; its log explains it as incident {incident}.")


def _is_async(handler: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)


def _with_schema(tool: Any) -> Any:
    """Return a tool that has the `inputSchema` without which clients refuse the whole list."""
    if type(tool) is dict and "inputSchema" not in tool:
        return {**tool, "inputSchema": {"type": "object"}}
    return tool


def _fault(response: Any, request_id: str | int) -> str | None:
    """Say what keeps `response` from being the JSON-RPC response to a request, None when nothing does."""
    if not isinstance(response, dict):
        return f"it is of type {type(response).__name__}, not dict"
    if response.get("jsonrpc") != "2.0":
        return 'it lacks "jsonrpc": "2.0"'
    if response.get("id") != request_id or type(response["id"]) is not type(request_id):
        return 'its "id" is not that of the request'
    return _content_fault(response)


def _content_fault(response: dict[Any, Any]) -> str | None:
    if ("result" in response) == ("error" in response):
        return 'it must have either "result" or "error"'
    if "result" in response:
        return None if isinstance(response["result"], dict) else 'its "result" is no dict'
    error = response["error"]
    if isinstance(error, dict) and type(error.get("code")) is int and isinstance(error.get("message"), str):
        return None
    return 'its "error" must be a dict with an int "code" and a str "message"'
