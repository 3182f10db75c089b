"""What administrators do on the pages they do in the terminal and the other way round, as docs/admin.md says."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.cli.main import _COMMANDS, _parser
from tests.web.pages.admin_forms import admin_forms, admin_pages

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "admin.md"
PROGRAMS = {"serve", "front", "stdio", "check", "init", "doctor", "call", "dev", "publish"}
"""They run, and change nothing that a store holds."""


def commands_of(parser: argparse.ArgumentParser, *path: str) -> Iterator[str]:
    """Return the commands that a parser knows, without the arguments of each."""
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not actions:
        yield " ".join(path)
    for action in actions:
        for name, command in action.choices.items():
            yield from commands_of(command, *path, name)


COMMANDS = {*commands_of(_parser([*_COMMANDS]))} - PROGRAMS


def rows(after: str) -> list[list[list[str]]]:
    """Return the rows of the table under a heading row: of each cell, what stands in it as code."""
    lines = GUIDE.read_text(encoding="utf-8").splitlines()
    start = lines.index(after) + 2
    end = next(number for number in range(start, len(lines)) if not lines[number].startswith("|"))
    return [[re.findall(r"`([^`]*)`", cell) for cell in line.strip("|").split(" | ")] for line in lines[start:end]]


BESIDE = rows("| What | On the pages | In the terminal |")
ALONE = rows("| In the terminal alone | Why |")


def leaf(command: str) -> str | None:
    """Return which command this is, whatever its arguments."""
    words = command.split()
    return next((" ".join(words[:end]) for end in range(len(words), 0, -1) if " ".join(words[:end]) in COMMANDS), None)


def test_every_page_and_form_has_its_command_and_no_form_is_told_that_there_is_not() -> None:
    told = [name for _, pages, _ in BESIDE for name in pages]
    assert len(told) == len(set(told))
    assert set(told) == admin_forms() | admin_pages()
    assert all(commands for _, _, commands in BESIDE)


def test_every_command_is_beside_a_page_or_in_the_terminal_alone() -> None:
    beside = {leaf(command) for _, _, commands in BESIDE for command in commands}
    alone = {leaf(command) for commands, *_ in ALONE for command in commands}

    assert None not in beside | alone
    assert beside | alone == COMMANDS
    # Of one command a part may have no page: an API key for somebody else.
    assert beside & alone == {"apikeys create"}
    assert all(pages for _, pages, _ in BESIDE)


@pytest.mark.parametrize("command", sorted({command for _, _, found in BESIDE for command in found}))
def test_the_options_that_are_told_are_there(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    named = leaf(command)
    assert named is not None
    with pytest.raises(SystemExit):
        _parser(named.split()).parse_args([*named.split(), "--help"])
    told = capsys.readouterr().out
    assert all(word in told for word in command.removeprefix(named).split() if word != "NAME")
