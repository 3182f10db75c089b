"""What the subcommands share: answers on standard output, complaints on standard error, and actions of their own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime


class CommandRefused(Exception):
    """A command was not, or not wholly, carried out: why, for the person who typed it, and the exit code."""

    def __init__(self, *sentences: str, exit_code: int = 1) -> None:
        super().__init__(*sentences)
        self.sentences = sentences
        self.exit_code = exit_code


def say(text: str) -> None:
    """Print an answer."""
    print(text)  # noqa: T201 - a command line talks to its user


def complain(*sentences: str) -> None:
    """Print why something was not done."""
    for sentence in sentences:
        print(f"gatepost: {sentence}", file=sys.stderr)  # noqa: T201 - likewise


def say_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, if_empty: str = "") -> None:
    """Print `rows` under `header` in aligned columns, or the sentence `if_empty` where there are none."""
    if not rows and if_empty:
        say(if_empty)
        return
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, *rows):
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def moment(seconds: int | None) -> str:
    """Return seconds UTC as a date and time, or a dash."""
    return "-" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


class Actions:
    """Adds actions to the parser of a command."""

    def __init__(self, command: argparse.ArgumentParser) -> None:
        self._parsers = command.add_subparsers(title="actions", metavar="ACTION", required=True)

    def add(
        self, name: str, run: Callable[[argparse.Namespace], None], words: str, *, description: str | None = None
    ) -> argparse.ArgumentParser:
        """Return the parser of a new action; `words` describe it in the list, and on its page if nothing else does."""
        parser = self._parsers.add_parser(
            name, help=words, description=description or f"{words[0].upper()}{words[1:]}."
        )
        parser.set_defaults(run=run)
        return parser
