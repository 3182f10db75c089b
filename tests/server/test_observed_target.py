"""What is told of an MCP request: its span's name, its labels, what came of it; and what a client cannot put there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from gatepost import Server
from gatepost.protocol.errors import ApplicationError, InternalError, InvalidParams
from gatepost.protocol.messages import Notification, Request
from gatepost.protocol.versions import REVISION_2026_07_28, Revision
from gatepost.server.calls.cancellation import RequestCancelled
from gatepost.server.calls.exchange import Exchange
from gatepost.server.dispatch import ServerTarget
from gatepost.server.errors import InsufficientScope
from gatepost.server.observed_target import ObservedTarget, declared_at
from gatepost.server.target import Result, Target
from gatepost.telemetry.catalogue import OPERATION_DURATION
from gatepost.telemetry.seam import Begun, Ended
from tests.telemetry.recorded import Recorded

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"
OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b8-01"
COMMON = {"mcp.protocol.version": "2026-07-28", "network.protocol.name": "http", "network.transport": "tcp"}


@dataclass
class Answering:
    """A target that answers or raises what it is told, and hears what is handed on."""

    outcome: Result | BaseException
    heard: str = ""

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def answer(self, request: Request, revision: Revision, exchange: Exchange) -> Result:
        del request, revision, exchange
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    async def drain(self) -> None:
        self.heard += "drain "

    async def notice(self, notification: Notification, revision: Revision, exchange: Exchange) -> None:
        del revision, exchange
        self.heard += notification.method


class OfSession(Exchange):
    """A request of a session."""

    __slots__ = ()

    @property
    def session_key(self) -> bytes:
        return bytes(range(32))


def observed(target: Target, recorded: Recorded, *, has_content: bool = False) -> ObservedTarget:
    return ObservedTarget(
        target, recorded, protocol="http", transport="tcp", declared=declared_at(target), has_content=has_content
    )


async def told_of(
    target: Target,
    method: str,
    params: Mapping[str, Any] | None = None,
    *,
    exchange: Exchange | None = None,
    has_content: bool = False,
    fails: type[BaseException] | None = None,
) -> tuple[Begun, Ended]:
    recorded = Recorded()
    request = Request(id=7, method=method, params=dict(params or {}))
    answering = observed(target, recorded, has_content=has_content).answer(
        request, REVISION_2026_07_28, exchange or Exchange()
    )
    if fails is None:
        await answering
    else:
        with pytest.raises(fails):
            await answering
    [told] = recorded.operations
    assert set(told[0].labels) <= set(OPERATION_DURATION.labels)
    return told


def a_target() -> ServerTarget:
    server = Server("notes")

    @server.tool()
    async def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    @server.prompt()
    async def review() -> str:
        """Review."""
        return "look"

    return ServerTarget(server)


async def test_a_call_of_a_declared_tool_has_its_name_in_span_and_labels() -> None:
    begun, ended = await told_of(a_target(), "tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}})
    assert begun == Begun(
        name="tools/call add",
        labels={
            "mcp.method.name": "tools/call",
            "gen_ai.tool.name": "add",
            "gen_ai.operation.name": "execute_tool",
            **COMMON,
        },
        details={"jsonrpc.request.id": "7"},
        remote={},
        ambient={},
    )
    assert ended == Ended()


async def test_a_declared_prompt_has_its_name_and_a_list_is_its_method() -> None:
    begun, _ = await told_of(a_target(), "prompts/get", {"name": "review"})
    assert (begun.name, begun.labels) == (
        "prompts/get review",
        {"mcp.method.name": "prompts/get", "gen_ai.prompt.name": "review", **COMMON},
    )
    begun, _ = await told_of(a_target(), "tools/list", {"name": "add"})
    assert (begun.name, begun.labels) == ("tools/list", {"mcp.method.name": "tools/list", **COMMON})


@pytest.mark.parametrize("name", ["nope", "<b>", "x" * 129, 7, None])
async def test_a_tool_that_is_not_declared_is_no_label(name: Any) -> None:
    begun, ended = await told_of(a_target(), "tools/call", {"name": name}, fails=InvalidParams)
    assert begun.name == "tools/call"
    assert begun.labels == {"mcp.method.name": "tools/call", "gen_ai.operation.name": "execute_tool", **COMMON}
    # A plain name helps whoever looks at the one span; nothing else gets there.
    assert begun.details.get("gen_ai.tool.name") == ("nope" if name == "nope" else None)
    assert ended == Ended("-32602", "-32602")


async def test_a_method_that_there_is_not_is_no_label() -> None:
    begun, ended = await told_of(a_target(), "evil/method-123", fails=Exception)
    assert (begun.name, begun.labels["mcp.method.name"]) == ("_OTHER", "_OTHER")
    assert ended == Ended("-32601", "-32601")


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (InternalError("no"), Ended("-32603", "-32603")),
        (InsufficientScope(frozenset({"notes:write"})), Ended("insufficient_scope", "-32600")),
        (RequestCancelled(), Ended("cancelled")),
        (RuntimeError("secret"), Ended("_OTHER")),
        (ApplicationError({"code": -32602, "message": "no"}), Ended("-32602", "-32602")),
        (ApplicationError({"code": -31234, "message": "no"}), Ended("_OTHER")),
        (ApplicationError({"code": "secret", "message": "no"}), Ended("_OTHER")),
    ],
)
async def test_a_failure_is_told_by_its_class_and_never_by_its_message(error: Exception, ended: Ended) -> None:
    assert (await told_of(Answering(error), "tools/call", fails=type(error)))[1] == ended


async def test_a_cancelled_request_is_told_as_such() -> None:
    recorded, started = Recorded(), asyncio.Event()

    class Waiting(Answering):
        async def answer(self, request: Request, revision: Revision, exchange: Exchange) -> Result:
            del request, revision, exchange
            started.set()
            await asyncio.Event().wait()
            return {}

    answering = observed(Waiting({}), recorded).answer(
        Request(id=1, method="ping", params={}), REVISION_2026_07_28, Exchange()
    )
    task = asyncio.create_task(answering)
    await started.wait()
    task.cancel()
    await asyncio.wait([task])
    assert [ended for _, ended in recorded.operations] == [Ended("cancelled")]


@pytest.mark.parametrize(
    ("result", "error_type"),
    [
        ({"content": [], "isError": True}, "tool_error"),
        ({"content": [], "isError": False}, None),
        ({"content": []}, None),
        (orjson.Fragment(b'{"content":[],"isError":true}'), "tool_error"),
        (orjson.Fragment('{"content":[],"isError":true}'), "tool_error"),
        (orjson.Fragment(b'{"content":[{"text":"\\"isError\\":true"}]}'), None),
        (orjson.Fragment(b'{"content":[],"isError":false}'), None),
        (orjson.Fragment(b'"isError" no JSON'), None),
    ],
)
async def test_a_result_that_says_so_is_a_tool_error(result: Result, error_type: str | None) -> None:
    assert (await told_of(Answering(result), "tools/call", {"name": "x"}))[1] == Ended(error_type)


async def test_arguments_and_results_are_told_only_where_the_operator_asks_for_them() -> None:
    params = {"name": "add", "arguments": {"a": 1, "b": 2}}
    told = await told_of(a_target(), "tools/call", params)
    assert "arguments" not in str(told)
    begun, ended = await told_of(a_target(), "tools/call", params, has_content=True)
    assert begun.details["gen_ai.tool.call.arguments"] == '{"a":1,"b":2}'
    assert ended.details is not None
    assert orjson.loads(ended.details["gen_ai.tool.call.result"])["structuredContent"] == 3


async def test_long_content_is_cut() -> None:
    params = {"name": "x", "arguments": {"text": "y" * 100_000}}
    begun, ended = await told_of(Answering({"text": "z" * 100_000}), "tools/call", params, has_content=True)
    assert len(str(begun.details["gen_ai.tool.call.arguments"])) == 16_384
    assert ended.details is not None
    assert len(ended.details["gen_ai.tool.call.result"]) == 16_384


async def test_the_trace_context_comes_from_meta_and_from_headers() -> None:
    meta = {"traceparent": TRACEPARENT, "tracestate": "a=b", "baggage": 7, "io.example/traceparent": "x"}
    headers = {b"traceparent": OTHER.encode(), b"baggage": b"k=v", b"authorization": b"Bearer secret"}
    begun, _ = await told_of(Answering({}), "ping", {"_meta": meta}, exchange=Exchange(None, headers))
    assert begun.remote == {"traceparent": TRACEPARENT, "tracestate": "a=b"}
    assert begun.ambient == {"traceparent": OTHER, "baggage": "k=v"}


@pytest.mark.parametrize("meta", [None, 7, [], {"traceparent": {}}])
async def test_meta_of_another_shape_has_no_trace_context(meta: Any) -> None:
    begun, _ = await told_of(Answering({}), "ping", {"_meta": meta}, exchange=Exchange(None, {b"baggage": b"k=v"}))
    assert (begun.remote, begun.ambient) == ({}, {})


async def test_a_session_is_told_by_its_fingerprint() -> None:
    begun, _ = await told_of(Answering({}), "ping", exchange=OfSession())
    assert begun.details["mcp.session.id"] == "0001020304050607"


async def test_a_long_id_of_a_request_is_cut() -> None:
    recorded = Recorded()
    request = Request(id="i" * 5000, method="ping", params={})
    await observed(Answering({}), recorded).answer(request, REVISION_2026_07_28, Exchange())
    assert recorded.operations[0][0].details == {"jsonrpc.request.id": "i" * 64}


async def test_all_else_is_handed_on() -> None:
    target, recorded = Answering({}), Recorded()
    wrapper = observed(target, recorded)
    await wrapper.notice(Notification(method="notifications/initialized", params={}), REVISION_2026_07_28, Exchange())
    await wrapper.drain()
    async with wrapper.lifespan():
        pass
    assert (target.heard, recorded.operations) == ("notifications/initializeddrain ", [])
