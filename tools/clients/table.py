"""The table that `make clients` prints, and how it comes into a page: between two markers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.clients.scenario import STEPS, Report


def versions(manifest: Path) -> dict[str, str]:
    """Return the pinned version of every package."""
    found: dict[str, str] = json.loads(manifest.read_bytes())["dependencies"]
    return found


def render(reports: Sequence[Report], pinned: Mapping[str, str]) -> str:
    """Return the table, and beneath it what clients said where a step did not work."""
    lines = [f"| Client | {' | '.join(STEPS)} | When stuck, type |", "|---" * (len(STEPS) + 2) + "|"]
    notes: list[str] = []
    for report in reports:
        cells = []
        for step in STEPS:
            cell = report.cells.get(step, "")
            if step in report.notes:
                notes.append(f"{len(notes) + 1}. {report.program.title}, {step.lower()}: {report.notes[step]}")
                cell = f"{cell} ({len(notes)})"
            cells.append(cell)
        name = f"{report.program.title} {pinned[report.program.package]}"
        lines.append(f"| {name} | {' | '.join(cells)} | {report.program.cure} |")
    return "\n".join([*lines, "", *notes])


def markers(name: str) -> tuple[str, str]:
    """Return the lines between which a page keeps what a command writes."""
    return f"<!-- make {name}: begin -->", f"<!-- make {name}: end -->"


def write(page: Path, name: str, text: str) -> None:
    """Put a text between a page's markers.

    Raises:
        ValueError: The page lacks them.
    """
    begin, end = markers(name)
    before, rest = _cut(page.read_text(encoding="utf-8"), begin)
    _, after = _cut(rest, end)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def _cut(text: str, marker: str) -> tuple[str, str]:
    before, found, after = text.partition(marker)
    if not found:
        raise ValueError(f"no line {marker}")
    return before, after
