"""Figures and spans as the SDK of OpenTelemetry gets them: names, labels, parents, links, and nothing of a client's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gatepost import Context, Server
from gatepost.observability.open_telemetry import OpenTelemetry
from gatepost.server.dispatch import ServerTarget
from gatepost.server.observed_target import ObservedTarget, declared_at
from gatepost.telemetry.catalogue import (
    CALLS_WAITING,
    METRICS,
    OPERATION_DURATION,
    PURGED,
    STORE_RETRIES,
    Kind,
)
from tests.web.mcp.mcp_harness import McpWorld

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
OTHER_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OTHER = f"00-{OTHER_TRACE}-00f067aa0ba902b8-01"


class Measured:
    """Everything that the SDK was given."""

    def __init__(self) -> None:
        self.spans = InMemorySpanExporter()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        ticks: Iterator[int] = count()
        self.telemetry = OpenTelemetry(tracers=self.tracers, meters=self.meters, clock=lambda: next(ticks) / 4)

    def figures(self) -> dict[str, list[tuple[dict[str, Any], Any]]]:
        """The labels and values of every metric that has any."""
        data = self.reader.get_metrics_data()
        found: dict[str, list[tuple[dict[str, Any], Any]]] = {}
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    points = metric.data.data_points
                    found[metric.name] = [
                        (dict(point.attributes or {}), getattr(point, "value", None) or getattr(point, "sum", 0))
                        for point in points
                    ]
        return found

    def finished(self) -> list[ReadableSpan]:
        return list(self.spans.get_finished_spans())


@pytest.fixture
def measured() -> Iterator[Measured]:
    made = Measured()
    yield made
    made.tracers.shutdown()
    made.meters.shutdown()


def a_world(measured: Measured, *, traces: bool = True) -> McpWorld:
    server = Server("notes")
    tracer = measured.tracers.get_tracer("author")

    @server.tool()
    async def add(a: int, b: int) -> int:
        """Add."""
        with tracer.start_as_current_span("own of an async tool"):
            return a + b

    @server.tool()
    def plain() -> str:
        """Work in a thread."""
        with tracer.start_as_current_span("own of a plain tool"):
            return "done"

    @server.tool()
    async def fails() -> None:
        """Fail."""
        raise RuntimeError("secret detail")

    @server.tool()
    async def context(ctx: Context) -> str:
        """Tell the trace context."""
        return str(ctx.traceparent)

    telemetry = measured.telemetry if traces else OpenTelemetry(tracers=None, meters=measured.meters, clock=lambda: 1.0)
    target = ServerTarget(server)
    observed = ObservedTarget(target, telemetry, protocol="http", transport="tcp", declared=declared_at(target))
    return McpWorld(observed, is_guarded=False)


async def call(world: McpWorld, name: str, meta: dict[str, Any] | None = None, **arguments: Any) -> Any:
    answer = await world.modern("tools/call", {"name": name, "arguments": arguments}, meta=meta)
    return answer.body


def test_what_is_counted_recorded_and_observed_reaches_the_meter(measured: Measured) -> None:
    telemetry = measured.telemetry
    telemetry.count(PURGED, {"what": "grants"}, 3)
    telemetry.count(PURGED, {"what": "grants"})
    telemetry.record(OPERATION_DURATION, 0.5, {"mcp.method.name": "ping"})
    telemetry.observe(CALLS_WAITING, lambda: [({}, 2)])
    telemetry.observe(CALLS_WAITING, lambda: [({"a": "b"}, 3)])
    telemetry.observe(STORE_RETRIES, lambda: [({}, 5)])
    assert measured.figures() == {
        PURGED.name: [({"what": "grants"}, 4)],
        OPERATION_DURATION.name: [({"mcp.method.name": "ping"}, 0.5)],
        CALLS_WAITING.name: [({}, 2), ({"a": "b"}, 3)],
        STORE_RETRIES.name: [({}, 5)],
    }


def test_histograms_have_the_buckets_of_the_catalogue(measured: Measured) -> None:
    histograms = [metric for metric in METRICS if metric.kind is Kind.HISTOGRAM]
    for metric in histograms:
        measured.telemetry.record(metric, 0.1)
    data = measured.reader.get_metrics_data()
    assert data is not None
    [scope] = data.resource_metrics[0].scope_metrics
    there = {metric.name: metric.data.data_points[0].explicit_bounds for metric in scope.metrics}  # type: ignore[union-attr]  # all are histograms
    assert there == {metric.name: metric.buckets for metric in histograms}
    assert there[OPERATION_DURATION.name] == (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)


def test_without_meters_and_tracers_everything_is_taken_and_nothing_kept() -> None:
    telemetry = OpenTelemetry(tracers=None, meters=None)
    telemetry.count(PURGED)
    telemetry.record(OPERATION_DURATION, 1.0)
    telemetry.observe(CALLS_WAITING, lambda: [({}, 1)])


async def test_a_call_is_a_span_and_what_the_tool_traces_is_below_it(measured: Measured) -> None:
    world = a_world(measured)
    assert (await call(world, "add", a=1, b=2))["result"]["structuredContent"] == 3
    own, span = measured.finished()
    assert (own.name, span.name, span.kind) == ("own of an async tool", "tools/call add", trace.SpanKind.SERVER)
    assert own.parent is not None
    assert (own.parent.span_id, own.context.trace_id) == (span.context.span_id, span.context.trace_id)
    assert span.parent is None
    assert dict(span.attributes or {}) == {
        "mcp.method.name": "tools/call",
        "gen_ai.tool.name": "add",
        "gen_ai.operation.name": "execute_tool",
        "mcp.protocol.version": "2026-07-28",
        "network.protocol.name": "http",
        "network.transport": "tcp",
        "jsonrpc.request.id": "1",
    }
    assert span.status.status_code is trace.StatusCode.UNSET
    assert not trace.get_current_span().get_span_context().is_valid


async def test_what_a_plain_tool_traces_in_its_thread_is_below_its_call(measured: Measured) -> None:
    await call(a_world(measured), "plain")
    own, span = measured.finished()
    assert own.name == "own of a plain tool"
    assert own.parent is not None
    assert own.parent.span_id == span.context.span_id


async def test_the_context_of_meta_is_the_parent_and_that_of_the_http_request_a_link(measured: Measured) -> None:
    world = a_world(measured)
    headers = [(b"traceparent", OTHER.encode())]
    await world.modern("tools/list", meta={"traceparent": PARENT}, headers=headers)
    await world.modern("tools/list", headers=headers)
    await world.modern("tools/list", meta={"traceparent": "00-nonsense"}, headers=headers)
    both, http, malformed = measured.finished()
    assert both.parent is not None
    assert f"{both.context.trace_id:032x}" == TRACE
    assert [f"{link.context.trace_id:032x}" for link in both.links] == [OTHER_TRACE]
    assert http.parent is not None
    assert (f"{http.context.trace_id:032x}", http.links) == (OTHER_TRACE, ())
    assert (f"{malformed.context.trace_id:032x}", malformed.links) == (OTHER_TRACE, ())


async def test_a_failure_marks_the_span_and_says_nothing_of_the_error(measured: Measured) -> None:
    world = a_world(measured)
    await call(world, "fails")
    await call(world, "nope")
    failed, unknown = measured.finished()
    assert [(span.name, span.status.status_code, span.status.description) for span in (failed, unknown)] == [
        ("tools/call fails", trace.StatusCode.ERROR, None),
        ("tools/call", trace.StatusCode.ERROR, None),
    ]
    assert [(span.attributes or {}).get("error.type") for span in (failed, unknown)] == ["tool_error", "-32602"]
    assert [span.events for span in (failed, unknown)] == [(), ()]
    assert "secret" not in f"{failed.to_json()} {unknown.to_json()}"


async def test_durations_are_recorded_with_and_without_spans(measured: Measured) -> None:
    labels = {
        "mcp.method.name": "tools/call",
        "gen_ai.tool.name": "add",
        "gen_ai.operation.name": "execute_tool",
        "mcp.protocol.version": "2026-07-28",
        "network.protocol.name": "http",
        "network.transport": "tcp",
    }
    await call(a_world(measured), "add", a=1, b=2)
    assert measured.figures()[OPERATION_DURATION.name] == [(labels, 0.25)]
    plain = Measured()
    await call(a_world(plain, traces=False), "fails")
    name = {"gen_ai.tool.name": "fails", "error.type": "tool_error"}
    assert plain.figures()[OPERATION_DURATION.name] == [({**labels, **name}, 0.0)]
    assert plain.finished() == []


async def test_a_tool_sees_the_trace_context_of_its_span_or_else_of_its_client(measured: Measured) -> None:
    meta = {"traceparent": PARENT}
    seen = (await call(a_world(measured), "context", meta=meta))["result"]["content"][0]["text"]
    [span] = measured.finished()
    assert seen == f"00-{TRACE}-{span.context.span_id:016x}-01"
    untraced = a_world(Measured(), traces=False)
    assert (await call(untraced, "context", meta=meta))["result"]["content"][0]["text"] == PARENT
    assert (await call(untraced, "context"))["result"]["content"][0]["text"] == "None"


@pytest.mark.parametrize(
    "value",
    ["00-nonsense", "x" * 3000, PARENT.upper(), f"{PARENT}-more", 7],
    ids=["nonsense", "long", "capitals", "more", "number"],
)
async def test_what_is_no_trace_context_is_none_for_tools(value: Any) -> None:
    world = a_world(Measured(), traces=False)
    answer = await call(world, "context", meta={"traceparent": value})
    assert answer["result"]["content"][0]["text"] == "None"


async def test_what_clients_write_into_trace_contexts_is_not_logged(
    measured: Measured, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    world = a_world(measured)
    await world.modern(
        "tools/list", meta={"traceparent": "y" * 600, "baggage": "hunter2;;=,,", "tracestate": "z" * 600}
    )
    await world.modern("tools/list", meta={"traceparent": PARENT, "baggage": "hunter2;;=,,", "tracestate": "z" * 600})
    assert [record for record in caplog.records if record.name.startswith("opentelemetry")] == []
