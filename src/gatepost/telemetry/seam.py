"""How other layers report what they do: one object that they are given, or None where nobody measures.

What passes everything (the routing table, the audit trail, the wrappers around a target and a store) is given one;
what is wrapped is not wrapped where there is none, so that a call costs nothing more then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeAlias

from gatepost.late_dataclass import dataclass
from gatepost.telemetry.catalogue import Metric

Labels: TypeAlias = Mapping[str, str]
Figures: TypeAlias = Callable[[], Iterable[tuple[Labels, float]]]
"""Returns the values of a metric at this moment."""

NO_LABELS: Labels = {}


@dataclass(slots=True)
class Begun:
    """What is known of an MCP request when it begins."""

    name: str
    """Of its span: `{mcp.method.name} {target}`."""
    labels: Labels
    """Of its metric, those that are known now."""
    details: Mapping[str, str | int]
    """What is on its span beside them."""
    remote: Mapping[str, str]
    """`traceparent` and its kin from `params._meta`."""
    ambient: Mapping[str, str]
    """The same from the headers of the HTTP request."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of an MCP request."""

    error_type: str | None = None
    """None where it succeeded."""
    status_code: str | None = None
    """Of a JSON-RPC error."""
    details: Mapping[str, str] | None = None
    """What is on its span beside that."""


class RequestUnderWay(Protocol):
    """One MCP request that is under way."""

    def end(self, ended: Ended, /) -> None:
        """Record its duration, and end its span."""
        ...


class Telemetry(Protocol):
    """Takes what is measured. Nothing of it raises, and nothing waits for anything."""

    def count(self, metric: Metric, labels: Labels = NO_LABELS, amount: int = 1) -> None:
        """Add to a counter."""
        ...

    def record(self, metric: Metric, seconds: float, labels: Labels = NO_LABELS) -> None:
        """Add a value to a histogram."""
        ...

    def observe(self, metric: Metric, figures: Figures) -> None:
        """Have a gauge or an observed counter ask `figures` whenever somebody looks."""
        ...

    def begin(self, begun: Begun) -> RequestUnderWay:
        """Begin an MCP request: what runs from now on in this task is part of it."""
        ...
