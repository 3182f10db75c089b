"""What came of the torture, and the page that says so."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.end_to_end.running_server import REPOSITORY
from tools.torture.load import Told

PAGE: Final = REPOSITORY / "docs" / "reliability.md"
_BEGIN, _END = "<!-- make torture: begin -->", "<!-- make torture: end -->"
_TITLES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL, with a synchronous standby"}


@dataclass
class Outcome:
    """What one kind of fault came to at one backend."""

    times: int = 0
    acknowledged: int = 0
    sent_again: int = 0
    spent: int = 0
    recoveries: list[float] = field(default_factory=list)
    """Seconds from when what was broken is back until the server is ready."""
    faults: list[str] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Return the median of the recoveries."""
        return statistics.median(self.recoveries)


@dataclass
class Report:
    """One backend."""

    backend: str
    seconds: float = 0.0
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    total: Told = field(default_factory=Told)
    checked: str = ""
    """What `gatepost store check` said last."""
    is_sound: bool = False


def write_page(reports: Sequence[Report]) -> None:
    """Put the tables of these backends into the page; those of other backends stay."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    old, _, after = rest.partition(_END)
    sections = {backend: section for backend in _TITLES if (section := _section_of(old, backend))}
    sections |= {report.backend: "\n".join(_lines(report)) for report in reports}
    told = "\n\n".join(sections[backend] for backend in _TITLES if backend in sections)
    PAGE.write_text(f"{before}{_BEGIN}\n{told}\n{_END}{after}", encoding="utf-8")


def _section_of(text: str, backend: str) -> str:
    """Return what the page says of a backend."""
    title = f"## {_TITLES[backend]}\n"
    _, found, rest = text.partition(title)
    return (title + rest.partition("\n## ")[0]).strip() if found else ""


def _lines(report: Report) -> Iterator[str]:
    yield f"## {_TITLES[report.backend]}"
    yield ""
    columns = ("What was done", "Times", "Acknowledged", "Sent again", "Codes spent", "Lost", "Resurrected")
    yield f"| {' | '.join(columns)} | Ready again, median | at most |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, outcome in report.outcomes.items():
        resurrected = sum(fault.startswith("resurrected") for fault in outcome.faults)
        lost = len(outcome.faults) - resurrected
        yield (
            f"| {name} | {outcome.times} | {outcome.acknowledged:,} | {outcome.sent_again:,} | {outcome.spent} "
            f"| {lost} | {resurrected} | {outcome.median:.2f} s | {max(outcome.recoveries):.2f} s |"
        )
    kinds = report.total.acknowledged
    told = ", ".join(f"{kinds[kind]:,} {kind}s" for kind in ("registration", "code", "refresh", "revocation"))
    yield ""
    yield (
        f"{kinds.total():,} requests were acknowledged in {report.seconds:.0f} s, on a machine with {os.cpu_count()} "
        f"cores that did other work as well: {told.replace('refreshs', 'refreshes')}. "
        f"`gatepost store check` afterwards: {'sound' if report.is_sound else 'not sound'}."
    )
