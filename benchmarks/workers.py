"""What a call costs with one process and with two workers: processor time of all processes, not requests a second.

The workers share the core that the one process has. On cores of their own they would slow each other where two cores
are two threads of one, and sleep more often, which is about the machine and the load. The parent counts, too.

`python -m benchmarks.workers` runs this alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.load import LoadFailed, Plan, run_load
from benchmarks.machine import cpu_seconds
from benchmarks.messages import WrongAnswer
from benchmarks.peers import THE_GATEPOST, Prepared
from benchmarks.processes import ServerFailed, ServerProcess, descendants
from benchmarks.throughput import SCENARIOS, Scenario, checked_plan

COUNTS: Final = (1, 2)
_SCENARIOS: Final = tuple(scenario for scenario in SCENARIOS if scenario.key in {"modern", "handshake"})
_CONNECTIONS: Final = (4, 32)
_START_SECONDS: Final = 30
_POLL_SECONDS: Final = 0.05


@dataclass(slots=True)
class WorkerCosts:
    """What came of one kind of call over some connections; each list has a figure for each round."""

    title: str
    connections: int
    microseconds: dict[int, list[float]] = field(default_factory=dict[int, list[float]])
    """Of processor time for a call, by the number of workers."""
    shares: list[float] = field(default_factory=list[float])
    """Of two workers, how much of the calls' processor time the busier one had."""

    def ratios(self) -> list[float]:
        """Return the cost with two workers beside the cost with one, of each round."""
        return [two / one for one, two in zip(self.microseconds[1], self.microseconds[2], strict=False)]


def measure(
    *, rounds: int, seconds: float, directory: Path, until: float, say: Callable[[str], None]
) -> list[WorkerCosts]:
    """Let one process and two workers take turns at the same calls."""
    results: list[WorkerCosts] = []
    for scenario in _SCENARIOS:
        for connections in _CONNECTIONS:
            costs = WorkerCosts(scenario.title, connections)
            results.append(costs)
            try:
                _measure(scenario, costs, rounds=rounds, seconds=seconds, directory=directory, until=until)
            except (LoadFailed, ServerFailed, WrongAnswer, OSError) as error:
                say(f"workers: {scenario.title}: {error}")
            else:
                say(f"workers: {scenario.title}, {connections} connections: {_told(costs)}")
    return results


def _told(costs: WorkerCosts) -> str:
    shown = [f"{count}: " + ", ".join(f"{each:.0f}" for each in costs.microseconds.get(count, [])) for count in COUNTS]
    return f"µs a call with {'; with '.join(shown)}; the busier of two had {max(costs.shares, default=0):.0%}"


def _measure(
    scenario: Scenario, costs: WorkerCosts, *, rounds: int, seconds: float, directory: Path, until: float
) -> None:
    with ExitStack() as stack:
        running = {count: _start(stack, scenario, costs, count, directory) for count in COUNTS}
        for round_ in range(rounds):
            for count in COUNTS[:: -1 if round_ % 2 else 1]:
                if time.monotonic() >= until:
                    return
                process, pids, plan = running[count]
                before = [cpu_seconds(pid) for pid in pids]
                load = run_load(plan, port=process.port, pid=process.pid, seconds=seconds)
                used = [cpu_seconds(pid) - earlier for pid, earlier in zip(pids, before, strict=True)]
                costs.microseconds.setdefault(count, []).append(sum(used) / load.answers * 1_000_000)
                if count > 1:
                    costs.shares.append(max(used[1:]) / sum(used[1:]))


def _start(
    stack: ExitStack, scenario: Scenario, costs: WorkerCosts, count: int, directory: Path
) -> tuple[ServerProcess, Sequence[int], Plan]:
    """Start a server that ends with the stack; return it with its process ids and its load, warm."""
    own = directory / f"workers-{scenario.key}-{costs.connections}-{count}"
    own.mkdir()
    prepared = Prepared(THE_GATEPOST, own, environment={"MCP_WORKERS": str(count)})
    process = stack.enter_context(prepared.start())
    process.wait_until_listening()
    pids = _wait_for(process, count)
    plan = checked_plan(prepared, scenario, scenario.eras[0], connections=costs.connections)
    run_load(plan, port=prepared.port, pid=process.pid, seconds=1)
    return process, pids, plan


def _wait_for(process: ServerProcess, count: int) -> Sequence[int]:
    """Return the process ids of a server and its workers, once all of them have their size."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        pids = [process.pid, *descendants(process.pid)]
        if count == 1 or f"{count} workers serve" in process.printed():
            return pids
        time.sleep(_POLL_SECONDS)
    raise ServerFailed(f"{count} workers did not come up: {process.printed()}")


if __name__ == "__main__":
    from benchmarks.__main__ import main

    sys.exit(main(["--only", "workers", "--peers", THE_GATEPOST.key, *sys.argv[1:]]))
