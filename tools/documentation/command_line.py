"""The reference of the command line: what each command says of itself with `--help`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Final

from gatepost.cli import main

_WIDTH: Final = 100  # columns, whatever the terminal of whoever builds the site has
_DEEPEST: Final = 4


def commands() -> Iterator[argparse.ArgumentParser]:
    """Yield `gatepost`, each of its commands, and each of their actions after it."""
    names = list(main._COMMANDS)  # noqa: SLF001 - the table of commands, which only `main` needs by a name
    yield from _with_actions(main._parser(names))  # noqa: SLF001 - likewise


def _with_actions(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:  # noqa: SLF001 - argparse tells its subcommands in no other way
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - likewise
            for inner in dict.fromkeys(action.choices.values()):  # an alias is the same parser
                yield from _with_actions(inner)


def reference() -> str:
    """Return the sections of the reference in Markdown, one for each command and action."""
    sections = []
    for parser in commands():
        depth = min(len(parser.prog.split()) + 1, _DEEPEST)
        parser.formatter_class = _of_fixed_width
        sections.append(f"{'#' * depth} {parser.prog}\n\n```text\n{parser.format_help().rstrip()}\n```\n")
    return "\n".join(sections)


def _of_fixed_width(prog: str) -> argparse.HelpFormatter:
    return argparse.HelpFormatter(prog, width=_WIDTH)
