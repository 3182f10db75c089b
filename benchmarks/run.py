"""One run: what was measured, on what, and the figures that are drawn from it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from benchmarks.authorization import Exchanges, TokenChecks
from benchmarks.cold_start import ColdStarts
from benchmarks.comparisons import Comparison
from benchmarks.load import Load
from benchmarks.machine import QUIET_LOAD
from benchmarks.peers import THE_CEILING, THE_GATEPOST, Peer
from benchmarks.streams import Streams
from benchmarks.throughput import Results, Scenario
from benchmarks.workers import WorkerCosts

WIDE_SPREAD: Final = 0.15
"""A series whose highest and lowest figure lie further apart than this part of the median is called noisy."""
_LEAST_SHARE: Final = 0.01
OTHERS_BOUND: Final = 0.10
"""Cores that others may use during a run before it is called noisy."""


@dataclass(slots=True)
class Run:
    """Everything that one run found."""

    started: datetime
    machine: str
    is_pinned: bool
    load_before: float
    others_before: float
    sync_seconds: float
    seconds: float
    rounds: int
    peers: Sequence[Peer]
    scenarios: Sequence[Scenario]
    versions: Mapping[str, str]
    throughput: Results = field(default_factory=dict)
    cold_starts: Mapping[str, ColdStarts] = field(default_factory=dict)
    streams: Mapping[str, Streams] = field(default_factory=dict)
    exchanges: Mapping[str, Exchanges] = field(default_factory=dict)
    token_checks: TokenChecks | None = None
    comparisons: Sequence[Comparison] = ()
    worker_costs: Sequence[WorkerCosts] = ()
    took_seconds: float = 0.0

    def rounds_of(self, scenario: str, peer: str) -> Mapping[int, Load]:
        """Return the loads of a peer by round; empty when it was not measured."""
        series = self.throughput.get((scenario, peer))
        return {} if series is None else series.rounds

    def best_python_peer(self, scenario: str) -> Peer | None:
        """Return the fastest of the others that are written in Python."""
        rivals = {
            peer.key: statistics.median(load.per_second for load in loads.values())
            for peer in self.peers
            if peer.is_python and peer not in (THE_CEILING, THE_GATEPOST)
            if (loads := self.rounds_of(scenario, peer.key))
        }
        return next((peer for peer in self.peers if rivals and peer.key == max(rivals, key=rivals.__getitem__)), None)


@dataclass(frozen=True, slots=True)
class Spread:
    """Several figures for the same thing."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread | None:
        """Return the spread of these figures, or None if there are none."""
        return cls(min(figures), statistics.median(figures), max(figures)) if figures else None

    @property
    def is_wide(self) -> bool:
        """Whether they are too far apart to be trusted."""
        return self.high - self.low > WIDE_SPREAD * self.median

    def __format__(self, spec: str) -> str:
        return f"{self.median:{spec}} ({self.low:{spec}}–{self.high:{spec}})"


def rates(loads: Mapping[int, Load]) -> Spread | None:
    """Return requests per second."""
    return Spread.of([load.per_second for load in loads.values()])


def rate_ratio(loads: Mapping[int, Load], base: Mapping[int, Load]) -> Spread | None:
    """Return how many times as many requests per second, round by round."""
    return Spread.of([loads[n].per_second / base[n].per_second for n in loads if n in base])


def core_ratio(loads: Mapping[int, Load], base: Mapping[int, Load]) -> Spread | None:
    """Return how many times as many requests per second of the server's core, round by round.

    The same as `rate_ratio` when each server has its core to itself; nearer to the truth when others take part of it.
    """
    return Spread.of([_per_core(loads[n]) / _per_core(base[n]) for n in loads if n in base])


def whole_ratio(loads: Mapping[int, Load], base: Mapping[int, Load]) -> Spread | None:
    """Return how many times as many requests per second of the core, of the server and all that works for it.

    It says what a call takes, even where others take most of the core meanwhile.
    """
    return Spread.of([_per_whole(loads[n]) / _per_whole(base[n]) for n in loads if n in base])


def _per_whole(load: Load) -> float:
    return load.per_second / max(load.whole_share, _LEAST_SHARE)


def _per_core(load: Load) -> float:
    return load.per_second / max(load.server_share, _LEAST_SHARE)


def tail_ratio(loads: Mapping[int, Load], base: Mapping[int, Load]) -> Spread | None:
    """Return how many times as long the 99th percentile is, round by round."""
    return Spread.of([loads[n].p99 / base[n].p99 for n in loads if n in base])


def noise(run: Run) -> list[str]:
    """Return a sentence for everything that makes the figures doubtful."""
    sentences = []
    if not run.is_pinned:
        sentences.append("Server and load generator shared their cores: this machine gives us only one.")
    if run.load_before > QUIET_LOAD:
        sentences.append(f"The load average was {run.load_before:.2f} before the run began.")
    if run.others_before > OTHERS_BOUND:
        sentences.append(f"Others used {run.others_before:.2f} cores just before the run began.")
    loads = [load for series in run.throughput.values() for load in series.rounds.values()]
    loads += [load for each in run.comparisons for rounds in each.rounds.values() for load in rounds.values()]
    disturbed = [load.others_share for load in loads if load.others_share > OTHERS_BOUND]
    if disturbed:
        sentences.append(
            f"Others used more than {OTHERS_BOUND:.2f} cores during {len(disturbed)} of {len(loads)} runs, "
            f"{max(disturbed):.2f} at worst."
        )
    ceiling = {scenario.key: run.rounds_of(scenario.key, THE_CEILING.key) for scenario in run.scenarios}
    pairs = [
        (scenario.key, peer.title)
        for scenario in run.scenarios
        for peer in run.peers
        if (ratio := rate_ratio(run.rounds_of(scenario.key, peer.key), ceiling[scenario.key])) and ratio.is_wide
    ]
    pairs += [
        (each.title, each.titles[key])
        for each in run.comparisons
        for key, loads_of in each.rounds.items()
        if (ratio := rate_ratio(loads_of, each.loads(each.base))) and ratio.is_wide
    ]
    if pairs:
        named = ", ".join(f"{title} ({key})" for key, title in pairs)
        sentences.append(f"Ratios that vary by more than {WIDE_SPREAD:.0%} between rounds: {named}.")
    return sentences
