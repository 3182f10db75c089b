"""`BACKENDS.md` and its chart, from what `backends` has measured."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from benchmarks.chart import Bar, Panel, draw
from benchmarks.machine import QUIET_LOAD
from benchmarks.run import Spread

if TYPE_CHECKING:
    from benchmarks.backends import Cost, Results

_SQLITE, _POSTGRESQL, _SQLITE_WORKERS, _POSTGRESQL_WORKERS = "sqlite-1", "postgresql-1", "sqlite-2", "postgresql-2"


def markdown(results: Results) -> str:
    """Return the report."""
    return "\n\n".join(_parts(results)) + "\n"


def _parts(results: Results) -> Iterator[str]:
    yield "# SQLite and PostgreSQL"
    yield (
        "Written by `python -m benchmarks.backends`; do not edit. Server, database and load share the machine, so what "
        "counts is **processor time of the server for each request**, all of its processes together; requests a second "
        "stand beside it. Where three figures stand, they are the median and, in brackets, the lowest and the highest "
        "of the rounds."
    )
    yield _table(
        ("", ""),
        [
            ("date", f"{results.started:%Y-%m-%d %H:%M} UTC"),
            ("machine", results.machine),
            ("disk", f"a synced write of 4 KB takes {results.sync_seconds * 1000:.2f} ms"),
            ("PostgreSQL", results.postgresql),
        ],
    )
    if results.load_before > QUIET_LOAD:
        yield f"> **The machine was noisy.** The load average was {results.load_before:.2f} before the run began."
    yield "![Chart](backends.svg)"
    yield "## Targets"
    yield _table(("what", "target", "found", ""), list(_targets(results)))
    yield "## What a request costs"
    yield from _costs(results)
    if results.growth.checks:
        yield "## A token check as the store grows"
        yield "The bearer guard without its cache, 32 checks at once; each token is of a grant and a user of its own."
        yield _growth(results)
    if results.purges:
        yield "## Refreshes while what is over is deleted"
        yield "`gatepost store purge` beside a server that is kept busy with refreshes."
        yield _table(
            ("", "rows that were over", "purged in", "p99 without", "p99 beside it", "refreshes/s without", "beside"),
            [
                (
                    purge.title,
                    f"{2 * purge.rows:,}",
                    f"{purge.seconds:.0f} s" + ("" if purge.was_running else " (over before the load was)"),
                    f"{purge.quiet.p99 / 1000:.1f} ms",
                    f"{purge.beside.p99 / 1000:.1f} ms",
                    f"{purge.quiet.per_second:,.0f}",
                    f"{purge.beside.per_second:,.0f}",
                )
                for purge in results.purges
            ],
        )


def _targets(results: Results) -> Iterator[tuple[str, str, str, str]]:
    def times(one: str, other: str, scenario: str) -> float | None:
        """Return how many times as much one arrangement spends as another."""
        mine, theirs = _spread(results, one, scenario), _spread(results, other, scenario)
        return None if mine is None or theirs is None else mine.median / theirs.median

    refresh = times(_SQLITE, _POSTGRESQL, "refresh")
    yield from _at_least("refresh on PostgreSQL, per core of the server", refresh, 0.7, "× SQLite")
    cached = times(_POSTGRESQL, _SQLITE, "modern")
    yield from _at_most("cached tool call on PostgreSQL", cached, 1.05, "× SQLite's")
    for one, two, title in ((_SQLITE, _SQLITE_WORKERS, "SQLite"), (_POSTGRESQL, _POSTGRESQL_WORKERS, "PostgreSQL")):
        workers = times(two, one, "modern")
        yield from _at_most(f"two workers on {title}, processor time for each call", workers, 1.1, "× one process")
    for key, title in ((_SQLITE, "SQLite"), (_POSTGRESQL, "PostgreSQL")):
        sizes = sorted(size for arrangement, size in results.growth.checks if arrangement == key)
        if len(sizes) > 1:
            grown = _took(results, key, sizes[-1]).median / _took(results, key, sizes[0]).median
            what = f"token check among {sizes[-1]:,} grants on {title}"
            yield from _at_most(what, grown, 1.3, f"× among {sizes[0]:,}")


def _at_least(what: str, found: float | None, bound: float, unit: str) -> Iterator[tuple[str, str, str, str]]:
    if found is not None:
        yield what, f"≥ {bound:g} {unit}", f"{found:.2f}", "met" if found >= bound else "**missed**"


def _at_most(what: str, found: float | None, bound: float, unit: str) -> Iterator[tuple[str, str, str, str]]:
    if found is not None:
        yield what, f"≤ {bound:g} {unit}", f"{found:.2f}", "met" if found <= bound else "**missed**"


def _costs(results: Results) -> Iterator[str]:
    from benchmarks.backends import ARRANGEMENTS, SCENARIOS  # noqa: PLC0415 - which imports this

    for scenario, title in SCENARIOS.items():
        rows = []
        base = _spread(results, _SQLITE, scenario)
        for arrangement in ARRANGEMENTS:
            costs = results.costs.get((arrangement.key, scenario))
            spent = _spread(results, arrangement.key, scenario)
            if not costs or spent is None:
                continue
            rate = Spread.of([cost.load.per_second for cost in costs])
            tail = Spread.of([cost.load.p99 / 1000 for cost in costs])
            database = Spread.of([cost.database_microseconds for cost in costs])
            times = "" if base is None else f"{spent.median / base.median:.2f}"
            rows.append((arrangement.title, f"{spent:.0f}", times, f"{database:.0f}", f"{rate:,.0f}", f"{tail:.1f}"))
        if rows:
            yield f"### {title[0].upper()}{title[1:]}"
            yield _table(("", "server, µs", "÷ SQLite", "database, µs", "requests/s", "p99, ms"), rows)
    for key, failure in results.failures.items():
        yield f"{key} was not measured: {failure}"


def _growth(results: Results) -> str:
    from benchmarks.backends import ARRANGEMENTS  # noqa: PLC0415 - which imports this

    titles = {arrangement.key: arrangement.title for arrangement in ARRANGEMENTS}
    rows = []
    for (key, size), checks in sorted(results.growth.checks.items()):
        took, worked = Spread.of([check.took for check in checks]), Spread.of([check.worked for check in checks])
        rows.append((titles[key], f"{size:,}", f"{took:.1f}", f"{worked:.1f}"))
    return _table(("", "grants", "µs on the clock", "µs of our processor"), rows)


def chart(results: Results) -> str:
    """Return the chart: costs by arrangement, and the growth."""
    return draw(list(_panels(results)), caption=f"{results.started:%Y-%m-%d}, {results.machine}")


def _panels(results: Results) -> Iterator[Panel]:
    from benchmarks.backends import ARRANGEMENTS, SCENARIOS  # noqa: PLC0415 - which imports this

    for scenario, title in SCENARIOS.items():
        bars = [
            Bar(one.title, spent, f"{spent.median:.0f} µs", "theirs" if one.is_postgresql else "ours")
            for one in ARRANGEMENTS
            if (spent := _spread(results, one.key, scenario)) is not None
        ]
        if bars:
            yield Panel(f"{title}: processor time of the server for each (shorter is better)", bars)
    for arrangement in ARRANGEMENTS:
        sizes = sorted(size for key, size in results.growth.checks if key == arrangement.key)
        kind = "theirs" if arrangement.is_postgresql else "ours"
        found = [(size, _took(results, arrangement.key, size)) for size in sizes]
        bars = [Bar(f"{size:,} grants", took, f"{took.median:.0f} µs", kind) for size, took in found]
        if bars:
            yield Panel(f"Token check on {arrangement.title}, as the store grows", bars)


def _took(results: Results, key: str, size: int) -> Spread:
    took = [check.took for check in results.growth.checks[key, size]]
    return Spread(min(took), statistics.median(took), max(took))


def _spread(results: Results, arrangement: str, scenario: str) -> Spread | None:
    costs: Sequence[Cost] = results.costs.get((arrangement, scenario), ())
    return Spread.of([cost.server_microseconds for cost in costs])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
