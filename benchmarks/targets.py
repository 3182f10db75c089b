"""The promises, and what this run says about each."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from benchmarks.authorization import CROWDS
from benchmarks.peers import THE_CEILING, THE_GATEPOST, THE_OFFICIAL_SDK
from benchmarks.run import Run, Spread, rate_ratio, tail_ratio

_GATEPOST: Final = THE_GATEPOST.key
_SDK: Final = THE_OFFICIAL_SDK.key
_CEILING: Final = THE_CEILING.key


@dataclass(frozen=True, slots=True)
class Verdict:
    """One promise: what was to be reached and what was."""

    what: str
    target: str
    found: str
    is_met: bool


def verdicts(run: Run) -> list[Verdict]:
    """Return a verdict for every promise that this run can judge."""
    return [
        *_calls(run),
        *_tails(run),
        *_start(run),
        *_streams(run),
        *_authorization(run),
        *_comparisons(run),
        *_workers(run),
    ]


def _comparisons(run: Run) -> Iterator[Verdict]:
    for each in run.comparisons:
        for promise in each.promises:
            ratio = rate_ratio(each.loads(promise.contender), each.loads(promise.base))
            yield from _at_least(promise.what, ratio, promise.bound, promise.unit)


def _at_least(what: str, ratio: Spread | None, bound: float, unit: str) -> Iterator[Verdict]:
    if ratio is not None:
        yield Verdict(what, f"≥ {bound:g} {unit}", f"{ratio:.2f}", ratio.median >= bound)


def _at_most(what: str, ratio: Spread | None, bound: float, unit: str) -> Iterator[Verdict]:
    if ratio is not None:
        yield Verdict(what, f"≤ {bound:g} {unit}", f"{ratio:.2f}", ratio.median <= bound)


def _against(run: Run, scenario: str, rival: str) -> Spread | None:
    return rate_ratio(run.rounds_of(scenario, _GATEPOST), run.rounds_of(scenario, rival))


def _calls(run: Run) -> Iterator[Verdict]:
    best = run.best_python_peer("modern")
    yield from _at_least("modern `tools/call`", _against(run, "modern", _CEILING), 0.65, "of the ceiling")
    if best is not None:
        unit = f"× the best Python peer ({best.title})"
        yield from _at_least("modern `tools/call`", _against(run, "modern", best.key), 5, unit)
    yield from _at_least("handshake `tools/call`", _against(run, "handshake", _CEILING), 0.55, "of the ceiling")
    yield from _at_least("handshake `tools/call`", _against(run, "handshake", _SDK), 5, "× the SDK")
    yield from _at_least("`tools/list` with 500 tools", _against(run, "list", _SDK), 20, "× the SDK")
    bare = run.rounds_of("guard", "sdk-bare")
    for key, what in (("sdk-guarded", "the guard"), ("sdk-scoped", "the guard and scopes by name")):
        ratio = rate_ratio(bare, run.rounds_of("guard", key))
        yield from _at_most(f"a call through {what}", ratio, 1.15, "× the SDK server's own time")
    yield from _at_least("sync tool", _against(run, "sync", _SDK), 3, "× the SDK")


def _tails(run: Run) -> Iterator[Verdict]:
    for scenario in ("modern", "handshake"):
        tail = tail_ratio(run.rounds_of(scenario, _GATEPOST), run.rounds_of(scenario, _CEILING))
        yield from _at_most(f"p99 of {scenario} `tools/call`", tail, 3, "× the ceiling's")


def _start(run: Run) -> Iterator[Verdict]:
    ours, theirs = run.cold_starts.get(_GATEPOST), run.cold_starts.get(_SDK)
    if ours is None or theirs is None or not ours.seconds or not theirs.seconds:
        return
    starts = Spread.of([mine / other for mine, other in zip(ours.seconds, theirs.seconds, strict=False)])
    memory = Spread.of([mine / other for mine, other in zip(ours.resident, theirs.resident, strict=False)])
    yield from _at_most("cold start to first authorised tool answer", starts, 0.85, "× the SDK's bare server")
    yield from _at_most("memory after it", memory, 1.0, "× the SDK's bare server")


def _streams(run: Run) -> Iterator[Verdict]:
    ours = run.streams.get(_GATEPOST)
    if ours is None or ours.failure is not None:
        return
    what = f"{ours.count} idle `subscriptions/listen` streams"
    yield from _at_most(what, Spread.of([ours.bytes_each / 1000]), 40, "kB each")
    yield from _at_most("a broadcast to all of them", Spread.of([ours.seconds_to_all]), 1, "s")


def _authorization(run: Run) -> Iterator[Verdict]:
    ours, theirs = run.exchanges.get("gatepost"), run.exchanges.get("fastmcp")
    if ours is not None and theirs is not None:
        unit = "× FastMCP's in-memory provider"
        yield from _at_least("code exchange, durable", rate_ratio(ours.codes, theirs.codes), 2, unit)
        yield from _at_least("refresh, durable", rate_ratio(ours.refreshes, theirs.refreshes), 2, unit)
    if run.token_checks is not None and all(run.token_checks.rounds.get(crowd) for crowd in CROWDS):
        few, many = (statistics.median(run.token_checks.rounds[crowd]) for crowd in CROWDS)
        what = f"token check, {CROWDS[1]:,} live tokens"
        yield from _at_most(what, Spread.of([many / few]), 1.3, f"× the time with {CROWDS[0]:,}")


def _workers(run: Run) -> Iterator[Verdict]:
    ratios = [ratio for costs in run.worker_costs if len(costs.microseconds) > 1 for ratio in costs.ratios()]
    yield from _at_most("CPU of a call with two workers", Spread.of(ratios), 1.1, "× with one process")
