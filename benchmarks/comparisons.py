"""Comparisons: a few contenders that do the same, timed in turns, each as a ratio to another one."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.load import Load, LoadFailed
from benchmarks.messages import WrongAnswer
from benchmarks.processes import ServerFailed


@dataclass(frozen=True, slots=True)
class Contender:
    """One of those that are compared."""

    key: str
    title: str
    measure: Callable[[float], Load]
    """Times it for so many seconds."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What one contender is to reach."""

    contender: str
    base: str
    bound: float
    what: str
    unit: str


@dataclass(slots=True)
class Comparison:
    """What came of it."""

    title: str
    base: str
    """The key of the contender that the table's ratios are to."""
    note: str
    promises: Sequence[Promise] = ()
    titles: dict[str, str] = field(default_factory=dict)
    rounds: dict[str, dict[int, Load]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    """Why a contender was not measured, or lacks a round."""

    def loads(self, contender: str) -> Mapping[int, Load]:
        """Return its loads by round; empty where it was not measured."""
        return self.rounds.get(contender, {})

    def failed(self, title: str, error: Exception, say: Callable[[str], None]) -> None:
        """Note that one, or everything, could not be measured."""
        self.failures[title] = str(error) or type(error).__name__
        say(f"{self.title}: {title}: {self.failures[title]}")


FAILURES = (WrongAnswer, LoadFailed, ServerFailed, OSError, subprocess.SubprocessError)
"""What a contender may fail with; the others are measured all the same."""


def in_turns(
    comparison: Comparison,
    contenders: Sequence[Contender],
    *,
    rounds: int,
    seconds: float,
    until: float,
    say: Callable[[str], None],
) -> None:
    """Time all of them, every other round backwards: what warms up or tires between two neighbours hits both."""
    comparison.titles |= {each.key: each.title for each in contenders}
    for round_ in range(rounds):
        for each in contenders[:: -1 if round_ % 2 else 1]:
            if time.monotonic() >= until:
                return
            try:
                load = each.measure(seconds)
            except FAILURES as error:
                comparison.failed(each.title, error, say)
                continue
            comparison.rounds.setdefault(each.key, {})[round_] = load
            say(
                f"{comparison.title} {round_ + 1}: {each.title}: {load.per_second:,.0f}/s, p99 {load.p99 / 1000:.1f} "
                f"ms, its core {load.server_share:.0%}, others {load.others_share:.0%}"
            )
