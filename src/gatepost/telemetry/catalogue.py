"""Every metric that there is: its name, kind, unit and labels. `docs/observability.md` lists them, and a test compares.

Labels have few values each: names of methods, of declared tools, of routes, of operations, reasons and events. What a
client sent is none of them, and neither is who somebody is.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from gatepost.late_dataclass import dataclass
from gatepost.telemetry import conventions


class Kind(StrEnum):
    """What a metric is an instrument of."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"
    """Asked for when somebody looks."""
    OBSERVED_COUNTER = "observed counter"
    """Likewise, and only grows."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric."""

    name: str
    """As OpenTelemetry has it."""
    kind: Kind
    unit: str
    """UCUM: `s`, or what is counted in braces."""
    labels: tuple[str, ...]
    description: str
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets, in its unit."""

    @property
    def is_histogram(self) -> bool:
        """Whether it is one."""
        return self.kind is Kind.HISTOGRAM

    @property
    def prometheus_name(self) -> str:
        """Return the name that Prometheus sees, of a histogram without `_bucket`, `_sum` and `_count`."""
        name = self.name.replace(".", "_")
        if self.unit == "s":
            name += "_seconds"
        return f"{name}_total" if self.kind in {Kind.COUNTER, Kind.OBSERVED_COUNTER} else name


_QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds, for what mostly takes milliseconds."""

OPERATION_DURATION: Final = Metric(
    conventions.OPERATION_DURATION,
    Kind.HISTOGRAM,
    "s",
    (
        conventions.METHOD,
        conventions.TOOL,
        conventions.PROMPT,
        conventions.GENAI_OPERATION,
        conventions.ERROR_TYPE,
        conventions.STATUS_CODE,
        conventions.PROTOCOL_VERSION,
        conventions.NETWORK_PROTOCOL,
        conventions.NETWORK_TRANSPORT,
    ),
    "From the time an MCP request was received until its result is there. Tools and prompts that are declared have "
    "their names.",
    conventions.DURATION_BUCKETS,
)
SESSION_DURATION: Final = Metric(
    conventions.SESSION_DURATION,
    Kind.HISTOGRAM,
    "s",
    (conventions.PROTOCOL_VERSION, conventions.NETWORK_PROTOCOL, conventions.NETWORK_TRANSPORT),
    "How long a session of the handshake era was, when its client ends it. Most clients never do.",
    conventions.DURATION_BUCKETS,
)
SESSIONS_BEGUN: Final = Metric(
    "gatepost.mcp.sessions.begun",
    Kind.COUNTER,
    "{session}",
    (conventions.PROTOCOL_VERSION,),
    "Sessions of the handshake era that an `initialize` began.",
)
CALLS_WAITING: Final = Metric(
    "gatepost.mcp.calls.waiting", Kind.GAUGE, "{call}", (), "MCP requests that are under way and wait for something."
)
STREAMS: Final = Metric("gatepost.mcp.streams", Kind.GAUGE, "{stream}", (), "Streams that clients hold open.")
TASKS_BEGUN: Final = Metric(
    "gatepost.tasks.begun", Kind.COUNTER, "{task}", (conventions.TOOL,), "Calls that were answered with a task."
)
TASKS_ENDED: Final = Metric(
    "gatepost.tasks.ended",
    Kind.COUNTER,
    "{task}",
    (conventions.TOOL, "ending"),
    "Tasks that ended, `completed`, `failed` or `cancelled`. What a process left behind counts where another ends it.",
)
TASKS_RUNNING: Final = Metric("gatepost.tasks.running", Kind.GAUGE, "{task}", (), "Tasks that a process runs.")
ENDPOINT_DURATION: Final = Metric(
    "gatepost.endpoint.duration",
    Kind.HISTOGRAM,
    "s",
    ("endpoint", "method", "status"),
    "How long an HTTP request took at an endpoint that is no MCP endpoint, by its route and the class of its status.",
    _QUICK,
)
REFUSALS: Final = Metric(
    "gatepost.refusals",
    Kind.COUNTER,
    "{refusal}",
    ("endpoint", "reason"),
    "Refused requests and faults, by the reason code of docs/reasons.md. MCP endpoints are `mcp`.",
)
AUDIT_EVENTS: Final = Metric(
    "gatepost.audit.events",
    Kind.COUNTER,
    "{event}",
    ("event", "outcome", "reason"),
    "What gives or takes access, by the events of docs/audit.md: logins, consent, tokens, refreshes, reuse.",
)
STORE_DURATION: Final = Metric(
    "gatepost.store.operation.duration",
    Kind.HISTOGRAM,
    "s",
    ("operation", "outcome"),
    "How long an operation of the store took its caller, waiting included. The outcome is `ok`, `unavailable` where "
    "the store could not answer, or `refused` where the operation itself said no.",
    _QUICK,
)
STORE_RETRIES: Final = Metric(
    "gatepost.store.retries",
    Kind.OBSERVED_COUNTER,
    "{attempt}",
    (),
    "Attempts at operations of a PostgreSQL store that were made again.",
)
POOL_CONNECTIONS: Final = Metric(
    "gatepost.store.pool.connections",
    Kind.GAUGE,
    "{connection}",
    ("state",),
    "Connections to a PostgreSQL store: `used`, `idle`, and the `limit` of both together.",
)
POOL_WAITING: Final = Metric(
    "gatepost.store.operations.waiting", Kind.GAUGE, "{operation}", (), "Operations of a PostgreSQL store under way."
)
CONNECTIONS: Final = Metric("gatepost.connections", Kind.GAUGE, "{connection}", (), "Open HTTP connections.")
PURGED: Final = Metric(
    "gatepost.purged", Kind.COUNTER, "{record}", ("what",), "Records that were over and that the purge has deleted."
)
WORKERS: Final = Metric("gatepost.workers", Kind.GAUGE, "{process}", (), "Worker processes that serve.")
WORKER_STARTS: Final = Metric(
    "gatepost.workers.starts",
    Kind.OBSERVED_COUNTER,
    "{process}",
    ("cause",),
    "Worker processes that were started: at the `start`, for a `replacement` (SIGHUP), or after a `death`.",
)

METRICS: Final = (
    OPERATION_DURATION,
    SESSION_DURATION,
    SESSIONS_BEGUN,
    CALLS_WAITING,
    STREAMS,
    TASKS_BEGUN,
    TASKS_ENDED,
    TASKS_RUNNING,
    ENDPOINT_DURATION,
    REFUSALS,
    AUDIT_EVENTS,
    STORE_DURATION,
    STORE_RETRIES,
    POOL_CONNECTIONS,
    POOL_WAITING,
    CONNECTIONS,
    PURGED,
    WORKERS,
    WORKER_STARTS,
)
"""All of them. Those of workers come from their parent, and are seen in Prometheus only."""
WORKER_LABEL: Final = "worker"
"""What every sample at the Prometheus endpoint has beside its metric's labels: which process it is of."""
