"""Where figures and traces go: by OTLP to a collector, and to whoever scrapes the Prometheus endpoint.

OTLP is set up by OpenTelemetry's own variables (`OTEL_EXPORTER_OTLP_ENDPOINT` and the like). Its queues are bounded and
its threads the SDK's, so a collector that does not answer costs figures and spans, and never a request.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Final
from urllib.parse import urlsplit

from opentelemetry import metrics, trace
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.metrics import MeterProvider as SdkMeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import TracerProvider
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from gatepost.late_dataclass import dataclass
from gatepost.observability.open_telemetry import OpenTelemetry
from gatepost.telemetry.catalogue import WORKER_LABEL

_SERVICE: Final = "gatepost"
_COLLECTOR: Final = "http://localhost:4318"
"""Where the SDK sends what nobody says otherwise of."""
FLUSH_SECONDS: Final = 1.5
"""At the end, for what has not gone out; a collector that does not answer gets no more."""


@dataclass(slots=True, kw_only=True)
class Exporting:
    """What is measured and traced in this process, on its way out."""

    telemetry: OpenTelemetry
    registry: CollectorRegistry | None
    """What the Prometheus endpoint shows; None without one."""
    tracers: TracerProvider | None
    meters: MeterProvider | None
    collectors: Mapping[str, Sequence[str]]
    """What each collector is sent by us: `traces`, `metrics`."""
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def text(self, worker: str) -> bytes:
        """Return what the Prometheus endpoint shows of this process (text format 0.0.4); from any thread."""
        if self.registry is None:
            return b""
        labelled = CollectorRegistry(auto_describe=False)
        labelled.register(_WithWorker(self.registry, worker))
        with self._lock:
            return generate_latest(labelled)

    def flush(self, seconds: float = FLUSH_SECONDS) -> None:
        """Send what has not gone out yet, for so long at most."""

        def work() -> None:
            for provider in (self.tracers, self.meters):
                if isinstance(provider, (SdkTracerProvider, SdkMeterProvider)):
                    provider.force_flush(int(seconds * 1000))

        # The SDK does not keep to the time that it is given (its issue 4568).
        thread = threading.Thread(target=work, name="gatepost-telemetry-flush", daemon=True)
        thread.start()
        thread.join(seconds)


def start_exporting(*, otlp: bool, prometheus: bool, version: str) -> Exporting:
    """Begin to measure, and to trace where there is a collector.

    Args:
        otlp: send figures and traces to a collector. Providers that the program has set itself are used as they are.
        prometheus: keep figures for the Prometheus endpoint.
        version: Gatepost's own.

    Raises:
        ValueError: an `OTEL_*` variable is wrong.
    """
    resource = _resource()
    registry = CollectorRegistry(auto_describe=False) if prometheus else None
    sent: list[str] = []
    tracers = _tracers(resource, sent) if otlp else None
    meters = _meters(resource, registry, sent, otlp=otlp)
    telemetry = OpenTelemetry(tracers=tracers, meters=meters, version=version)
    collectors: dict[str, list[str]] = {}
    for kind in sent:
        collectors.setdefault(collector_of(kind, os.environ), []).append(kind)
    return Exporting(telemetry=telemetry, registry=registry, tracers=tracers, meters=meters, collectors=collectors)


def collector_of(kind: str, environment: Mapping[str, str]) -> str:
    """Return scheme, host and port of the collector that is sent `traces` or `metrics`.

    What else its URL has, user and query among it, may be a credential.
    """
    own, general = f"OTEL_EXPORTER_OTLP_{kind.upper()}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
    url = urlsplit(environment.get(own) or environment.get(general) or _COLLECTOR)
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}"


def _resource() -> Resource:
    # What is given here would beat what the operator says in OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES.
    said = Resource.create()
    own = {SERVICE_INSTANCE_ID: str(uuid.uuid4())}
    if str(said.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        own[SERVICE_NAME] = _SERVICE
    return said.merge(
        Resource({name: value for name, value in own.items() if name not in said.attributes or name == SERVICE_NAME})
    )


def _tracers(resource: Resource, sent: list[str]) -> TracerProvider | None:
    there = trace.get_tracer_provider()
    if not isinstance(there, trace.ProxyTracerProvider):
        return there
    if _is_off("OTEL_TRACES_EXPORTER"):
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - only with a collector

    provider = SdkTracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    sent.append("traces")
    # What tools trace themselves goes the same way.
    trace.set_tracer_provider(provider)
    return provider


def _meters(
    resource: Resource, registry: CollectorRegistry | None, sent: list[str], *, otlp: bool
) -> MeterProvider | None:
    readers: list[MetricReader] = []
    if registry is not None:
        ProcessCollector(registry=registry)
        readers.append(PrometheusMetricReader(disable_target_info=True, scope_info_enabled=False, registry=registry))
    if otlp and not _is_off("OTEL_METRICS_EXPORTER"):
        there = metrics.get_meter_provider()
        if not readers and isinstance(there, SdkMeterProvider):
            return there
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415 - likewise

        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
        sent.append("metrics")
    if not readers:
        return None
    provider = SdkMeterProvider(metric_readers=readers, resource=resource, shutdown_on_exit=False)
    if not isinstance(metrics.get_meter_provider(), SdkMeterProvider):
        metrics.set_meter_provider(provider)
    return provider


def _is_off(variable: str) -> bool:
    return os.environ.get(variable, "").strip().lower() == "none"


class _WithWorker(Collector):
    """What a registry collects, each sample with the process that it is of."""

    def __init__(self, registry: CollectorRegistry, worker: str) -> None:
        self._registry, self._worker = registry, worker

    def collect(self) -> Iterator[Family]:
        for family in self._registry.collect():
            family.samples = [
                sample._replace(labels={**sample.labels, WORKER_LABEL: self._worker}) for sample in family.samples
            ]
            yield family
