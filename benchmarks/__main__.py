"""`python -m benchmarks`: everything, or what is chosen; see `--help`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks import authorization, cold_start, extensions, external, fronts, streams, throughput, workers
from benchmarks.comparisons import Comparison
from benchmarks.environments import (
    CEILING,
    ENVIRONMENTS,
    FASTMCP,
    FASTMCP_TASKS,
    GATEPOST,
    HERE,
    OFFICIAL_SDK,
    EnvironmentFailed,
    PythonEnvironment,
    build,
    find_python,
    versions,
)
from benchmarks.load import LoadFailed, require_wrk
from benchmarks.machine import (
    LOAD_CORE,
    busy_time,
    description,
    has_two_cores,
    load_average,
    others_share,
    sync_seconds,
)
from benchmarks.peers import PEERS, Peer
from benchmarks.report import CHART_FILE, REPORT_FILE, chart, markdown
from benchmarks.run import Run

_LONGEST_SECONDS: Final = 1500
"""Nothing new begins after so long; what has begun is bounded itself."""
_PARTS: Final = (
    *(scenario.key for scenario in throughput.SCENARIOS),
    "start",
    "streams",
    "codes",
    "tokens",
    "front",
    "external",
    "extensions",
    "workers",
)
_LOOK_SECONDS: Final = 3


@dataclass(frozen=True, slots=True)
class Choice:
    """What the command line asks for."""

    parts: Sequence[str]
    peers: Sequence[Peer]
    seconds: float
    rounds: int
    starts: int
    streams: int
    python: str | None
    destination: Path | None
    """Where the report goes, besides standard output."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the report if everything was asked for."""
    choice = _read(arguments)
    try:
        require_wrk()
        python = find_python(choice.python)
        environments = list(
            {peer.environment.name: peer.environment for peer in choice.peers if peer.is_python}.values()
        )
        # Codes have peers of their own, and every part of Gatepost needs its environment.
        environments += [one for one in _needed_besides(choice) if one not in environments]
        with_node = "codes" in choice.parts or "front" in choice.parts
        with_node = with_node or any(not peer.is_python for peer in choice.peers)
        build(environments, python=python, with_node=with_node)
        if "front" in choice.parts:
            fronts.build()
    except (EnvironmentFailed, LoadFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if has_two_cores():
        os.sched_setaffinity(0, {LOAD_CORE})
    with tempfile.TemporaryDirectory(dir=ENVIRONMENTS, prefix="run-") as directory:
        run = _begin(choice, Path(directory), versions(environments, with_node=with_node))
        _measure(choice, run, Path(directory))
    text = markdown(run)
    sys.stdout.write(text)
    if choice.destination is not None:
        (choice.destination / REPORT_FILE).write_text(text)
        (choice.destination / CHART_FILE).write_text(chart(run))
        _say(f"wrote {choice.destination / REPORT_FILE} and its chart")
    return 0


def _read(arguments: Sequence[str] | None) -> Choice:
    parser = argparse.ArgumentParser(
        prog="make benchmark ARGS=…",
        description="Measure Gatepost beside its peers. Writes RESULTS.md after a whole run.",
    )
    parser.add_argument("--only", nargs="+", choices=_PARTS, metavar="PART", help=f"of {', '.join(_PARTS)}")
    parser.add_argument("--peers", nargs="+", choices=[peer.key for peer in PEERS], metavar="PEER", help=_peer_help())
    parser.add_argument("--seconds", type=float, default=3, help="of each timed load (3)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is timed (3)")
    parser.add_argument("--starts", type=int, default=5, help="how often each is started (5)")
    parser.add_argument("--streams", type=int, default=streams.STREAMS, help=f"idle streams ({streams.STREAMS})")
    parser.add_argument("--python", help="interpreter of all Python servers; the newest found from 3.12 on")
    parser.add_argument("--no-write", action="store_true", help="print only, also after a whole run")
    parser.add_argument("--write-to", type=Path, metavar="DIRECTORY", help="write there, also after a part")
    options = parser.parse_args(arguments)
    is_whole = options.only is None and options.peers is None and not options.no_write
    return Choice(
        parts=options.only or _PARTS,
        peers=[peer for peer in PEERS if options.peers is None or peer.key in options.peers],
        seconds=options.seconds,
        rounds=options.rounds,
        starts=options.starts,
        streams=options.streams,
        python=options.python,
        destination=options.write_to or (HERE if is_whole else None),
    )


def _peer_help() -> str:
    return f"of {', '.join(peer.key for peer in PEERS)}"


def _needed_besides(choice: Choice) -> list[PythonEnvironment]:
    """Return the environments of servers that are no peers of the throughput parts."""
    needed: dict[str, list[PythonEnvironment]] = {
        "codes": [GATEPOST, FASTMCP],
        "tokens": [GATEPOST],
        "front": [GATEPOST, CEILING, OFFICIAL_SDK],
        "external": [GATEPOST],
        "extensions": [GATEPOST, FASTMCP_TASKS],
        "workers": [GATEPOST],
    }
    every = [environment for part in choice.parts for environment in needed.get(part, [])]
    return list({environment.name: environment for environment in every}.values())


def _begin(choice: Choice, directory: Path, found: dict[str, str]) -> Run:
    """Look at the machine before anything runs on it."""
    before = busy_time()
    time.sleep(_LOOK_SECONDS)
    run = Run(
        started=datetime.now(UTC),
        machine=description(),
        is_pinned=has_two_cores(),
        load_before=load_average(),
        others_before=others_share(before, busy_time()),
        sync_seconds=sync_seconds(directory),
        seconds=choice.seconds,
        rounds=choice.rounds,
        peers=choice.peers,
        scenarios=[scenario for scenario in throughput.SCENARIOS if scenario.key in choice.parts],
        versions=found,
    )
    _say(f"load average {run.load_before:.2f}, others use {run.others_before:.2f} cores")
    return run


def _measure(choice: Choice, run: Run, directory: Path) -> None:
    began = time.monotonic()
    until = began + _LONGEST_SECONDS
    peers, rounds, seconds = choice.peers, choice.rounds, choice.seconds
    run.throughput = throughput.measure(
        run.scenarios, peers, rounds=rounds, seconds=seconds, directory=directory, until=until, say=_say
    )
    if "start" in choice.parts:
        alone = [peer for peer in peers if peer.behind is None]
        run.cold_starts = cold_start.measure(alone, repeats=choice.starts, directory=directory, until=until, say=_say)
    if "streams" in choice.parts:
        run.streams = streams.measure(peers, count=choice.streams, directory=directory, until=until, say=_say)
    if "codes" in choice.parts:
        run.exchanges = authorization.measure_exchanges(
            rounds=rounds, seconds=seconds, directory=directory, until=until, say=_say
        )
    if "tokens" in choice.parts:
        run.token_checks = authorization.measure_token_checks(rounds=rounds, directory=directory, until=until, say=_say)
    comparisons: list[Comparison] = []
    if "front" in choice.parts:
        comparisons += fronts.measure(rounds=rounds, seconds=seconds, directory=directory, until=until, say=_say)
    if "external" in choice.parts:
        own = external.measure(rounds=rounds, seconds=seconds, directory=directory, until=until, say=_say)
        comparisons.append(own)
    if "extensions" in choice.parts:
        comparisons += extensions.measure(rounds=rounds, seconds=seconds, directory=directory, until=until, say=_say)
    run.comparisons = comparisons
    if "workers" in choice.parts:
        run.worker_costs = workers.measure(rounds=rounds, seconds=seconds, directory=directory, until=until, say=_say)
    run.took_seconds = time.monotonic() - began


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
