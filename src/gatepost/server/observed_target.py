"""A target whose requests are measured and traced, by the conventions of OpenTelemetry for MCP.

It is there only where somebody measures. What a client sent is in no label: methods are those of the specification,
tools and prompts those that are declared. Arguments and results are on a span only where the operator asks for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import KW_ONLY, field
from typing import Any, Final

import orjson

from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import InvalidJsonRpcRequest, ProtocolError, is_defined
from gatepost.protocol.messages import Notification, Request
from gatepost.protocol.versions import Revision
from gatepost.server.calls.cancellation import RequestCancelled, is_cancellation
from gatepost.server.calls.exchange import Exchange
from gatepost.server.calls.trace_context import well_formed
from gatepost.server.dispatch import METHODS, ServerTarget
from gatepost.server.errors import InsufficientScope
from gatepost.server.target import Result, Target
from gatepost.telemetry import conventions
from gatepost.telemetry.seam import Begun, Ended, Telemetry

_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_./-]{1,128}")
"""Names of tools and prompts (server/tools, "Tool Names"); what is none is not on a span."""
_LONGEST_REQUEST_ID: Final = 64
_LONGEST_CONTENT: Final = 16_384
"""Bytes of arguments or of a result on a span."""
_SESSION_DIGITS: Final = 16
_MOST_KNOWN: Final = 10_000
_FAILED: Final = b'"isError"'


@dataclass(frozen=True, slots=True)
class _Known:
    """What is the same for all requests of a kind."""

    name: str
    labels: Mapping[str, str]
    is_undeclared: bool


@dataclass(frozen=True, slots=True, eq=False)
class ObservedTarget:
    """A `Target` that tells of each request what it is, how long it took, and what came of it."""

    target: Target
    telemetry: Telemetry
    _: KW_ONLY
    protocol: str
    """`http` or `jsonrpc`: what carries the messages (`network.protocol.name`)."""
    transport: str
    """`tcp` or `pipe` (`network.transport`)."""
    declared: Callable[[str, str], bool] = lambda _method, _name: False
    """Says of a method and the name in its parameters whether a tool or prompt of this name is declared."""
    has_content: bool = False
    """Whether spans have the arguments and results of tools."""
    _known: dict[tuple[str, str | None, str], _Known] = field(default_factory=dict, init=False)

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Open what the target needs."""
        return self.target.lifespan()

    async def answer(self, request: Request, revision: Revision, exchange: Exchange) -> Result:
        """Answer a request. Raises what the target raises."""
        operation = self.telemetry.begin(self._begun(request, revision, exchange))
        try:
            result = await self.target.answer(request, revision, exchange)
        except BaseException as error:
            operation.end(_failure(error))
            raise
        operation.end(self._outcome(request, result))
        return result

    async def drain(self) -> None:
        """End what would last until the server stops."""
        await self.target.drain()

    async def notice(self, notification: Notification, revision: Revision, exchange: Exchange) -> None:
        """Hand a notification on."""
        await self.target.notice(notification, revision, exchange)

    def _begun(self, request: Request, revision: Revision, exchange: Exchange) -> Begun:
        name = request.params.get("name") if request.method in _NAMES else None
        named = name if isinstance(name, str) else None
        kind = (request.method, named, revision.version)
        known = self._known.get(kind)
        if known is None:
            known = self._described(*kind)
        details: dict[str, str | int] = {conventions.REQUEST_ID: str(request.id)[:_LONGEST_REQUEST_ID]}
        if named is not None and known.is_undeclared and _PLAIN_NAME.fullmatch(named):
            details[_NAMES[request.method]] = named
        if self.has_content and request.method == "tools/call":
            details[conventions.ARGUMENTS] = _written(request.params.get("arguments"))
        session = exchange.session_key
        if session is not None:
            details[conventions.SESSION_ID] = session.hex()[:_SESSION_DIGITS]
        return Begun(known.name, known.labels, details, _remote(request), _ambient(exchange.headers))

    def _described(self, method: str, name: str | None, version: str) -> _Known:
        """Return what spans and labels of a kind of request are; what is declared is remembered, which has an end."""
        is_method, key = _is_method(self.target, method), _NAMES.get(method)
        labels = {conventions.METHOD: method if is_method else conventions.OTHER}
        is_declared = key is not None and name is not None and self.declared(method, name)
        if key is not None and name is not None and is_declared:
            labels[key] = name
        if method == "tools/call":
            labels[conventions.GENAI_OPERATION] = conventions.EXECUTE_TOOL
        labels[conventions.PROTOCOL_VERSION] = version
        labels[conventions.NETWORK_PROTOCOL] = self.protocol
        labels[conventions.NETWORK_TRANSPORT] = self.transport
        span_name = f"{method} {name}" if is_declared else labels[conventions.METHOD]
        known = _Known(span_name, labels, is_undeclared=not is_declared)
        # A tool may be declared or taken away later; one that is not declared now is looked up each time.
        if is_method and (name is None or is_declared) and len(self._known) < _MOST_KNOWN:
            self._known[method, name, version] = known
        return known

    def _outcome(self, request: Request, result: Result) -> Ended:
        if request.method != "tools/call":
            return _SUCCEEDED
        details = {conventions.RESULT: _written(result)} if self.has_content else None
        return Ended(conventions.TOOL_ERROR if _is_tool_error(result) else None, details=details)


_NOTHING: Final[Mapping[str, str]] = {}
_SUCCEEDED: Final = Ended()
_NAMES: Final[Mapping[str, str]] = {"tools/call": conventions.TOOL, "prompts/get": conventions.PROMPT}


def declared_at(target: object) -> Callable[[str, str], bool]:
    """Return what says which tools and prompts a target declares: those of a `Server`, of others none."""
    if not isinstance(target, ServerTarget):
        return lambda _method, _name: False
    shelves: Mapping[str, Callable[[], Container[str]]] = {
        "tools/call": lambda: target.registry.tools.there,
        "prompts/get": lambda: target.registry.prompts.there,
    }
    return lambda method, name: name in shelves[method]()


def _is_method(target: Target, method: str) -> bool:
    return target.has_method(method) if isinstance(target, ServerTarget) else method in METHODS


def _failure(error: BaseException) -> Ended:
    if isinstance(error, InsufficientScope):
        return Ended("insufficient_scope", str(InvalidJsonRpcRequest.code))
    if isinstance(error, ProtocolError):
        # As it is sent. Functions and servers behind a front choose codes of their own; each would be a series.
        sent = error.body().get("code")
        return Ended(str(sent), str(sent)) if is_defined(sent) else Ended(conventions.OTHER)
    if isinstance(error, RequestCancelled) or is_cancellation(error):
        return Ended("cancelled")
    return Ended(conventions.OTHER)


def _is_tool_error(result: Result) -> bool:
    if isinstance(result, dict):
        return result.get("isError") is True
    if not isinstance(result, orjson.Fragment):
        return False
    # What a server behind a front has answered. Few results say the word at all.
    raw = orjson.dumps(result)
    if _FAILED not in raw:
        return False
    try:
        read = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return False
    return isinstance(read, dict) and read.get("isError") is True


def _written(value: object) -> str:
    try:
        text = orjson.dumps(value, default=str).decode()
    except (TypeError, ValueError, RecursionError):
        return ""
    return text[:_LONGEST_CONTENT]


def _remote(request: Request) -> Mapping[str, str]:
    """Return the trace context of `params._meta` (MCP 2026-07-28 basic, "OpenTelemetry trace context")."""
    meta: Any = request.params.get("_meta")
    if type(meta) is not dict or conventions.TRACE_KEYS.isdisjoint(meta):
        return _NOTHING
    return well_formed({key: meta.get(key) for key in conventions.TRACE_KEYS})


def _ambient(headers: Mapping[bytes, bytes]) -> Mapping[str, str]:
    """Return the trace context of the HTTP request (W3C Trace Context section 3)."""
    if b"traceparent" not in headers:
        return _NOTHING
    return well_formed({key: headers.get(key.encode("ascii"), b"").decode("latin-1") for key in conventions.TRACE_KEYS})
