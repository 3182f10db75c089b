"""What the subcommands share: answers on standard output, complaints on standard error, and actions of their own."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TextIO

from gatepost.observability.moments import read_moment, read_stretch

_JOINERS: Final = "\u200c\u200d\ufe0f"
"""Format characters that writing and emoji need, and which only join."""


class CommandRefused(Exception):
    """A command was not, or not wholly, carried out: why, for the person who typed it, and the exit code."""

    def __init__(self, *sentences: str, exit_code: int = 1) -> None:
        super().__init__(*sentences)
        self.sentences = sentences
        self.exit_code = exit_code


def say(text: str) -> None:
    """Print an answer."""
    _write(text, sys.stdout)


def complain(*sentences: str) -> None:
    """Print why something was not done."""
    for sentence in sentences:
        _write(f"gatepost: {sentence}", sys.stderr)


def say_beside(text: str = "", *, end: str = "\n") -> None:
    """Print what is no answer to standard error, such as progress and questions; at once, whatever it ends with."""
    _write(text, sys.stderr, end=end)


def flush_output() -> None:
    """Write what is not written yet; Python's own last attempt at that tells of a closed pipe with a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            try:
                stream.flush()
            except BrokenPipeError:
                _drop_what_follows(stream)


def _write(text: str, stream: TextIO, *, end: str = "\n") -> None:
    try:
        print(text, end=end, file=stream, flush=stream is sys.stderr)
    except BrokenPipeError:
        _drop_what_follows(stream)


def _drop_what_follows(stream: TextIO) -> None:
    """Have the stream lead nowhere: who read it has seen enough, as in `gatepost check | head -1`.

    The command goes on: what it has begun to change it is not to leave half done, and its exit code is its own.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def say_list(rows: Sequence[Mapping[str, object]], *, as_json: bool, if_empty: str) -> None:
    """Print rows that have the same members: one JSON object on each line, or a table.

    Args:
        rows: their members are text, numbers, lists of text, moments as `moment` returns them, or None.
        as_json: whether a program reads it.
        if_empty: the sentence for a person where there are no rows.
    """
    if as_json:
        for row in rows:
            say(json.dumps(row))
    elif rows:
        say_table([name.replace("_", " ").upper() for name in rows[0]], [[*map(_cell, row.values())] for row in rows])
    else:
        say(if_empty)


def say_record(record: Mapping[str, object], *, as_json: bool = False) -> None:
    """Print one record: a JSON object, or a line for each member, whose values are as those of `say_list`."""
    if as_json:
        say(json.dumps(record))
        return
    width = max(map(len, record)) + 2
    for name, value in record.items():
        say(f"{name.replace('_', ' '):<{width}}{_cell(value)}")


def say_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print `rows` under `header` in aligned columns."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, *rows):
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def moment(seconds: int | None) -> str | None:
    """Return seconds UTC as a date and time (RFC 3339), which `--since` takes; None for None."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _cell(value: object) -> str:
    if value is None or value == []:
        return "-"
    # Groups and the like are somebody else's words.
    return printable(" ".join(value) if isinstance(value, list) else str(value))


def printable(text: str, *, lines: bool = False) -> str:
    """Return somebody else's text without what moves a terminal's cursor or hides its direction; `lines` may be kept.

    Control characters, escapes and format characters (Unicode Cc, Cf) are shown as the replacement character.
    """
    kept = _JOINERS + ("\n\t" if lines else "")
    if lines:
        text = text.replace("\r\n", "\n")
    return "".join(character if character.isprintable() or character in kept else "\ufffd" for character in text)


def missing_scheme(url: str) -> str:
    """Return the sentence that `http://` or `https://` is missing, with a space behind it; nothing where it is not."""
    return "" if "://" in url else "http:// or https:// is missing. "


def add_search(parser: argparse.ArgumentParser) -> None:
    """Add `--search`, which finds what the search of the admin pages does."""
    parser.add_argument("--search", metavar="TEXT", help="only those whose name begins so, or whose identifier it is")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`, for `say_list`."""
    parser.add_argument("--json", action="store_true", help="one JSON object per line")


def past_moment(text: str) -> int:
    """Return seconds UTC of what `read_moment` reads."""
    try:
        return read_moment(text, now=int(time.time()))
    except ValueError:
        raise argparse.ArgumentTypeError("takes a date, a date and time, or a stretch of time such as 24h") from None


def stretch(text: str) -> int:
    """Return seconds of a stretch of time such as `90d`."""
    try:
        seconds = read_stretch(text)
    except ValueError:
        seconds = 0
    if not seconds:
        raise argparse.ArgumentTypeError("takes a stretch of time such as 12h or 90d")
    return seconds


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

    def add_list(
        self, run: Callable[[argparse.Namespace], None], words: str, *, description: str | None = None
    ) -> argparse.ArgumentParser:
        """Return the parser of the action `list`, which takes `--json`."""
        parser = self.add("list", run, words, description=description)
        add_json(parser)
        return parser
