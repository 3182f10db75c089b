"""What is reported, kept for a test to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gatepost.telemetry.catalogue import Metric
from gatepost.telemetry.seam import NO_LABELS, Begun, Ended, Figures, Labels


@dataclass
class Recorded:
    """A `Telemetry` that keeps everything."""

    counts: list[tuple[str, Mapping[str, str], int]] = field(default_factory=list)
    values: list[tuple[str, float, Mapping[str, str]]] = field(default_factory=list)
    observed: dict[str, list[Figures]] = field(default_factory=dict)
    operations: list[tuple[Begun, Ended]] = field(default_factory=list)

    def count(self, metric: Metric, labels: Labels = NO_LABELS, amount: int = 1) -> None:
        assert set(labels) <= set(metric.labels)
        self.counts.append((metric.name, labels, amount))

    def record(self, metric: Metric, seconds: float, labels: Labels = NO_LABELS) -> None:
        assert set(labels) <= set(metric.labels)
        self.values.append((metric.name, seconds, labels))

    def observe(self, metric: Metric, figures: Figures) -> None:
        self.observed.setdefault(metric.name, []).append(figures)

    def begin(self, begun: Begun) -> _Operation:
        return _Operation(self, begun)

    def now(self, metric: Metric) -> list[tuple[Mapping[str, str], float]]:
        """The values of an observed metric."""
        return [value for figures in self.observed[metric.name] for value in figures()]


@dataclass
class _Operation:
    recorded: Recorded
    begun: Begun

    def end(self, ended: Ended, /) -> None:
        self.recorded.operations.append((self.begun, ended))
