"""`Telemetry` over OpenTelemetry: a tracer and a meter, each of which may be left out.

This is the one module, with `exporting`, that imports OpenTelemetry; it is imported where the operator asks for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.metrics import Observation
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gatepost.late_dataclass import dataclass
from gatepost.telemetry import conventions
from gatepost.telemetry.catalogue import METRICS, OPERATION_DURATION, Kind, Metric
from gatepost.telemetry.seam import NO_LABELS, Begun, Ended, Figures, Labels

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.metrics import CallbackOptions, Counter, Histogram, MeterProvider
    from opentelemetry.trace import Link, Span, Tracer, TracerProvider

_SCOPE: Final = "gatepost"
# SEP-414 has these formats alone, whatever OTEL_PROPAGATORS says of others.
_PROPAGATOR: Final = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
_MOST_REMEMBERED: Final = 2_000
"""Sets of labels, each of which is a series; as many as the SDK keeps of one metric."""

# They say what a client has sent, and as often as it sends it.
for _name in ("opentelemetry.baggage.propagation", "opentelemetry.trace.propagation.tracecontext"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class OpenTelemetry:
    """Measures by the meters and traces by the tracers of these providers; None where that is not wanted.

    Args:
        tracers: where spans go.
        meters: where figures go.
        version: Gatepost's own.
        clock: seconds, from any moment on.
    """

    def __init__(
        self,
        *,
        tracers: TracerProvider | None,
        meters: MeterProvider | None,
        version: str = "",
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._tracer: Tracer | None = None if tracers is None else tracers.get_tracer(_SCOPE, version)
        self._meter = None if meters is None else meters.get_meter(_SCOPE, version)
        self._clock = clock
        self._counters: dict[Metric, Counter] = {}
        self._histograms: dict[Metric, Histogram] = {}
        self._observed: dict[Metric, list[Figures]] = {}
        self._outcomes: dict[tuple[Any, ...], Mapping[str, str]] = {}
        if self._meter is not None:
            for metric in METRICS:
                if metric.kind is Kind.COUNTER:
                    self._counters[metric] = self._meter.create_counter(metric.name, metric.unit, metric.description)
                elif metric.kind is Kind.HISTOGRAM:
                    self._histograms[metric] = self._meter.create_histogram(
                        metric.name,
                        metric.unit,
                        metric.description,
                        explicit_bucket_boundaries_advisory=list(metric.buckets),
                    )

    def count(self, metric: Metric, labels: Labels = NO_LABELS, amount: int = 1) -> None:
        """Add to a counter."""
        counter = self._counters.get(metric)
        if counter is not None:
            counter.add(amount, labels)

    def record(self, metric: Metric, seconds: float, labels: Labels = NO_LABELS) -> None:
        """Add a value to a histogram."""
        histogram = self._histograms.get(metric)
        if histogram is not None:
            histogram.record(seconds, labels)

    def observe(self, metric: Metric, figures: Figures) -> None:
        """Have a gauge or an observed counter ask `figures` whenever somebody looks; several are put together."""
        if self._meter is None:
            return
        known = self._observed.setdefault(metric, [])
        known.append(figures)
        if len(known) > 1:
            return

        def observed(_options: CallbackOptions) -> Iterable[Observation]:
            return [Observation(value, labels) for ask in known for labels, value in ask()]

        is_gauge = metric.kind is Kind.GAUGE
        create = self._meter.create_observable_gauge if is_gauge else self._meter.create_observable_counter
        create(metric.name, [observed], metric.unit, metric.description)

    def begin(self, begun: Begun) -> _Operation:
        """Begin an MCP request: its span is the current one in this task until it ends.

        The context of `params._meta` is the parent, and what the HTTP request brings is a link beside it; where there
        is no such context, the HTTP request's is the parent (conventions, "Context propagation").
        """
        if self._tracer is None:
            return _Operation(self, begun.labels, self._clock())
        parent, links = _parent_and_links(begun)
        span = self._tracer.start_span(
            begun.name,
            context=parent,
            kind=trace.SpanKind.SERVER,
            attributes={**begun.labels, **begun.details},
            links=links,
        )
        token = contexts.attach(trace.set_span_in_context(span, parent))
        return _Operation(self, begun.labels, self._clock(), span, token)

    def end_operation(self, labels: Labels, seconds: float, ended: Ended) -> None:
        """Record the duration of an MCP request."""
        histogram = self._histograms.get(OPERATION_DURATION)
        if histogram is not None:
            histogram.record(seconds, self._labels_with(labels, ended))

    def now(self) -> float:
        """Return the time of the clock."""
        return self._clock()

    def _labels_with(self, labels: Labels, ended: Ended) -> Labels:
        if ended.error_type is None:
            return labels
        key = (*labels.values(), ended.error_type, ended.status_code)
        known = self._outcomes.get(key)
        if known is None:
            if len(self._outcomes) >= _MOST_REMEMBERED:
                self._outcomes.clear()
            known = self._outcomes[key] = {**labels, **_failure_labels(ended)}
        return known


@dataclass(slots=True, eq=False)
class _Operation:
    _telemetry: OpenTelemetry
    _labels: Labels
    _began: float
    _span: Span | None = None
    _token: Token[Context] | None = None

    def end(self, ended: Ended, /) -> None:
        """Record its duration, and end its span."""
        telemetry = self._telemetry
        telemetry.end_operation(self._labels, telemetry.now() - self._began, ended)
        span = self._span
        if span is None:
            return
        if ended.details:
            span.set_attributes(ended.details)
        if ended.error_type is not None:
            # Without a description: the message of an error may say what a client sent.
            span.set_attributes(_failure_labels(ended))
            span.set_status(trace.StatusCode.ERROR)
        span.end()
        if self._token is not None:
            contexts.detach(self._token)


def _failure_labels(ended: Ended) -> dict[str, str]:
    labels = {conventions.ERROR_TYPE: ended.error_type, conventions.STATUS_CODE: ended.status_code}
    return {name: value for name, value in labels.items() if value is not None}


def _parent_and_links(begun: Begun) -> tuple[Context, list[Link] | None]:
    ambient = contexts.get_current()
    if not trace.get_current_span(ambient).get_span_context().is_valid and begun.ambient:
        # Nobody around the app has taken the HTTP request's context yet.
        ambient = _PROPAGATOR.extract(begun.ambient, context=ambient)
    if not begun.remote:
        return ambient, None
    around = trace.get_current_span(ambient).get_span_context()
    parent = _PROPAGATOR.extract(begun.remote, context=ambient)
    if trace.get_current_span(parent).get_span_context() == around:
        return ambient, None
    return parent, [trace.Link(around)] if around.is_valid else None
