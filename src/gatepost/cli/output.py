"""What the command line prints: answers on standard output, complaints on standard error."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime


def say(text: str) -> None:
    """Print an answer."""
    print(text)  # noqa: T201 - a command line talks to its user


def complain(sentence: str) -> None:
    """Print why something was not done."""
    print(f"gatepost: {sentence}", file=sys.stderr)  # noqa: T201 - likewise


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return `rows` under `header` in aligned columns."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (header, *rows)]
    return "\n".join(line.rstrip() for line in lines)


def moment(seconds: int | None) -> str:
    """Return seconds UTC as a date and time, or a dash."""
    return "-" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
