"""`RESULTS.md` and its chart, from a run."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from benchmarks.authorization import OAUTH_PEERS
from benchmarks.chart import Bar, Panel, draw
from benchmarks.comparisons import Comparison
from benchmarks.load import CONNECTIONS, FEW_CONNECTIONS
from benchmarks.machine import LOAD_CORE, SERVER_CORE
from benchmarks.messages import Era
from benchmarks.peers import THE_CEILING, THE_GATEPOST, Peer
from benchmarks.run import Run, Spread, core_ratio, noise, rate_ratio, rates, tail_ratio, whole_ratio
from benchmarks.targets import verdicts
from benchmarks.throughput import Scenario
from benchmarks.workers import COUNTS

CHART_FILE: Final = "results.svg"
REPORT_FILE: Final = "RESULTS.md"

_PREFACE: Final = (
    "Written by `make benchmark`; do not edit. Figures that count are ratios of runs taken in turn on one machine; "
    "absolute ones are noise between machines. Where three figures stand, they are the median and, in brackets, the "
    "lowest and the highest of the rounds."
)
_LONGEST_LINE: Final = 240


def markdown(run: Run) -> str:
    """Return the report."""
    parts = [
        "# Benchmark results",
        _PREFACE,
        *_circumstances(run),
        f"![Chart]({CHART_FILE})",
        *_targets(run),
        *(part for scenario in run.scenarios for part in _scenario(run, scenario)),
        *_cold_starts(run),
        *_streams(run),
        *_exchanges(run),
        *_token_checks(run),
        *(part for each in run.comparisons for part in _comparison(each)),
        *_workers(run),
        *_methods(run),
    ]
    return "\n\n".join(parts) + "\n"


def chart(run: Run) -> str:
    """Return the chart as SVG."""
    caption = f"{run.started:%Y-%m-%d}, {run.machine}. Bars: median of {run.rounds} rounds; lines: lowest to highest."
    return draw([panel for panel in _panels(run) if panel.bars], caption=caption)


def _panels(run: Run) -> Iterator[Panel]:
    for scenario in run.scenarios:
        ceiling = run.rounds_of(scenario.key, THE_CEILING.key)
        bars = [
            Bar(peer.title, ratio, f"{ratio.median:.2g}", _kind(peer))
            for peer in run.peers
            if (ratio := rate_ratio(run.rounds_of(scenario.key, peer.key), ceiling)) is not None
        ]
        yield Panel(f"{scenario.title}: requests per second, as a part of the ceiling's", bars)
    yield Panel(
        "Cold start to the first authorised tool answer, seconds (shorter is better)",
        [
            Bar(peer.title, seconds, f"{seconds.median:.2f} s", _kind(peer))
            for peer in run.peers
            if (seconds := Spread.of(run.cold_starts[peer.key].seconds if peer.key in run.cold_starts else []))
        ],
    )
    for title, refreshes in (("Codes redeemed a second", False), ("Refresh tokens rotated a second", True)):
        exchanges = [(peer, run.exchanges[peer.key]) for peer in OAUTH_PEERS if peer.key in run.exchanges]
        yield Panel(
            title,
            [
                Bar(peer.title, rate, f"{rate.median:,.0f}", "ours" if peer.key == THE_GATEPOST.key else "theirs")
                for peer, found in exchanges
                if (rate := rates(found.refreshes if refreshes else found.codes)) is not None
            ],
        )


def _kind(peer: Peer) -> str:
    return {THE_GATEPOST.key: "ours", THE_CEILING.key: "bound"}.get(peer.key, "theirs")


def _circumstances(run: Run) -> Iterator[str]:
    wrk = f"`wrk` (one thread, {CONNECTIONS} connections, {FEW_CONNECTIONS} for lists)"
    cores = (
        f"server pinned to core {SERVER_CORE}, {wrk} to core {LOAD_CORE}"
        if run.is_pinned
        else f"server and {wrk} on the same cores"
    )
    rows = [
        ("date", f"{run.started:%Y-%m-%d %H:%M} UTC, {run.took_seconds / 60:.0f} minutes"),
        ("machine", run.machine),
        ("load", f"{cores}; {run.rounds} rounds of {run.seconds:g} s, in turn"),
        ("disk", f"a synced write of 4 KB takes {run.sync_seconds * 1000:.2f} ms"),
        *((f"versions: {name}", text) for name, text in run.versions.items()),
    ]
    yield _table(("", ""), rows)
    doubts = noise(run)
    if doubts:
        yield "> **The machine was noisy.** " + " ".join(doubts)
    else:
        yield "The machine was quiet: nobody else used it, and no ratio varied much between rounds."


def _targets(run: Run) -> Iterator[str]:
    judged = verdicts(run)
    if judged:
        yield "## Targets"
        rows = [(v.what, v.target, v.found, "met" if v.is_met else "**missed**") for v in judged]
        yield _table(("what", "target", "found", ""), rows)


def _scenario(run: Run, scenario: Scenario) -> Iterator[str]:
    ceiling = run.rounds_of(scenario.key, THE_CEILING.key)
    best = run.best_python_peer(scenario.key)
    rivals = {} if best is None else run.rounds_of(scenario.key, best.key)
    rows, notes = [], []
    for peer in run.peers:
        series = run.throughput.get((scenario.key, peer.key))
        if series is None:
            continue
        loads = series.rounds
        era = scenario.era_for(peer)
        if series.failure is not None:
            left_out = f"{peer.title} lacks a round" if loads else f"{peer.title} was left out"
            notes.append(f"{left_out}: {_one_line(series.failure)}")
        elif era is Era.HANDSHAKE and Era.MODERN in scenario.eras:
            notes.append(f"{peer.title} speaks the handshake era only and was measured in it.")
        if not loads:
            continue
        rows.append(
            (
                peer.title,
                _shown(rates(loads), ",.0f"),
                _shown(rate_ratio(loads, ceiling), ".3g"),
                _shown(rate_ratio(loads, rivals), ".3g"),
                _shown(Spread.of([load.p99 / 1000 for load in loads.values()]), ".1f"),
                _shown(tail_ratio(loads, ceiling), ".2f"),
                f"{statistics.median(load.server_share for load in loads.values()):.0%}",
                _shown(core_ratio(loads, ceiling), ".3g"),
                "–" if series.resident_after is None else f"{series.resident_after / 1e6:.0f} MB",
            )
        )
    if not rows and not notes:
        return
    yield f"## {scenario.title}"
    rival = "best Python peer" if best is None else best.title
    header = (
        "server",
        "requests/s",
        "÷ ceiling",
        f"÷ {rival}",
        "p99, ms",
        "p99 ÷ ceiling's",
        "core used",
        "÷ ceiling per core-second",
        "memory after",
    )
    yield _table(header, rows)
    yield from notes


def _cold_starts(run: Run) -> Iterator[str]:
    rows = [
        (
            peer.title,
            _shown(Spread.of(found.seconds), ".2f"),
            f"{found.median_resident / 1e6:.0f} MB" if found.resident else _one_line(found.failure or "not measured"),
        )
        for peer in run.peers
        if (found := run.cold_starts.get(peer.key)) is not None
    ]
    if rows:
        yield "## Cold start and memory"
        yield (
            "From the start of the process to the first right answer to an authorised call, bytecode compiled and "
            "files in the page cache. Gatepost starts whole: store, authorization server, pages. Memory is what the "
            "process holds (RSS) after that answer."
        )
        yield _table(("server", "seconds", "memory"), rows)


def _streams(run: Run) -> Iterator[str]:
    rows = [
        (peer.title, "–", "–", "–", f"skipped: {_one_line(found.failure)}")
        if found.failure is not None
        else (
            peer.title,
            f"{found.count:,}",
            f"{found.bytes_each / 1000:.0f} kB",
            f"{found.seconds_to_all:.2f} s",
            f"opened in {found.seconds_to_open:.1f} s",
        )
        for peer in run.peers
        if (found := run.streams.get(peer.key)) is not None
    ]
    if rows:
        yield "## Idle `subscriptions/listen` streams and one broadcast"
        yield _table(("server", "streams", "memory each", "a change reached all in", ""), rows)


def _exchanges(run: Run) -> Iterator[str]:
    base = run.exchanges.get("fastmcp")
    rows = []
    for peer in OAUTH_PEERS:
        found = run.exchanges.get(peer.key)
        if found is None:
            continue
        if found.failure is not None:
            rows.append((peer.title, "–", "–", "–", f"left out: {_one_line(found.failure)}"))
            continue
        figures = [_shown(rates(found.codes), ",.0f"), _shown(rates(found.refreshes), ",.0f")]
        for ours, theirs in ((found.codes, base and base.codes), (found.refreshes, base and base.refreshes)):
            figures.append(_shown(rate_ratio(ours, theirs or {}), ".2f"))
        codes, refreshes, code_ratio, refresh_ratio = figures
        rows.append((peer.title, codes, code_ratio, refreshes, refresh_ratio))
    if rows:
        yield "## Authorization server"
        yield (
            "POST to the token endpoint, public client with PKCE. Gatepost syncs every commit to disk before it "
            "answers; the others keep everything in memory. Its limits count, but are set too high to refuse."
        )
        yield _table(("server", "codes redeemed/s", "÷ FastMCP", "refreshes/s", "÷ FastMCP"), rows)


def _token_checks(run: Run) -> Iterator[str]:
    if run.token_checks is None:
        return
    rows = [
        (f"{crowd:,}", _shown(Spread.of(taken), ".1f")) for crowd, taken in run.token_checks.rounds.items() if taken
    ]
    yield "## Token check"
    yield (
        "A token that was not seen a moment ago, so that the store is asked: the bearer guard without its cache, "
        "32 checks at once, SQLite. Each token belongs to a grant and a user of its own."
    )
    if run.token_checks.failure is not None:
        yield f"Failed: {_one_line(run.token_checks.failure)}"
    yield _table(("live tokens", "µs for one check"), rows)


def _comparison(comparison: Comparison) -> Iterator[str]:
    base = comparison.loads(comparison.base)
    rows = [
        (
            title,
            _shown(rates(loads), ",.0f"),
            _shown(rate_ratio(loads, base), ".3g"),
            _shown(Spread.of([load.p99 / 1000 for load in loads.values()]), ".1f"),
            f"{statistics.median(load.server_share for load in loads.values()):.0%}",
            f"{statistics.median(load.whole_share for load in loads.values()):.0%}",
            _shown(whole_ratio(loads, base), ".3g"),
            _shown(core_ratio(loads, base), ".3g"),
        )
        for key, title in comparison.titles.items()
        if (loads := comparison.loads(key))
    ]
    against = comparison.titles.get(comparison.base, comparison.base)
    yield f"## {comparison.title}"
    yield comparison.note
    if rows:
        used = ("core used by itself", "and by what is behind")
        ratios = ("÷ per core-second of all", "÷ per core-second of itself")
        yield _table(("", "calls/s", f"÷ {against}", "p99, ms", *used, *ratios), rows)
    yield from (f"{title} lacks a round: {_one_line(why)}" for title, why in comparison.failures.items())


def _workers(run: Run) -> Iterator[str]:
    rows = [
        (
            costs.title,
            str(costs.connections),
            *(_shown(Spread.of(costs.microseconds[count]), ".0f") for count in COUNTS),
            _shown(Spread.of(costs.ratios()), ".2f"),
            _shown(Spread.of([100 * share for share in costs.shares]), ".0f"),
        )
        for costs in run.worker_costs
        if len(costs.microseconds) == len(COUNTS)
    ]
    if rows:
        yield "## Two workers beside one process"
        yield "Processor time of all processes for a call. The workers share the core that the one process has."
        header = ("call", "connections", "µs with one", "µs with two", "×", "% of the calls' time at the busier one")
        yield _table(header, rows)


def _methods(run: Run) -> Iterator[str]:
    del run
    yield "## How it is measured"
    yield (
        "Every server is one process with one worker and the same tools, checks a bearer token in the way that its own "
        "documentation shows, and answers in JSON where it can. Before anything is timed, every request of the load "
        "is sent once: sums and ids must be right, all tools must be listed, and an unknown token must be "
        "refused. Under load every answer must have status 200 and hold a result; one that does not voids the run. "
        "The Python servers share one interpreter version and run uvicorn with uvloop and httptools. Gatepost's token "
        "is a row of its SQLite store and is verified anew every few seconds; the others compare with a token in "
        "memory. A list that comes in pages counts once for all pages. The handshake era runs in "
        f"{CONNECTIONS} sessions where the server has sessions. The ceiling checks nothing. `core used` well below "
        "100 % means that the server was not what limited the run, or that others took a part of its core; "
        "then requests per second of the core say more."
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _shown(spread: Spread | None, spec: str) -> str:
    return "–" if spread is None else f"{spread:{spec}}"


def _one_line(text: str) -> str:
    """Return text that fits a line: of a traceback, where it began and, above all, how it ended."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_LINE else f"{line[:60]} … {line[60 - _LONGEST_LINE :]}"
