"""The clients of `make clients` are pinned, and their table has a place in the page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tools.clients import run, table
from tools.clients.programs import PROGRAMS, Codex
from tools.clients.scenario import Report
from tools.clients.stage import Seen
from tools.clients.terminal import plain


def test_clients_are_pinned_by_exact_version_and_by_hash() -> None:
    pinned = table.versions(run.HERE / "package.json")
    locked = json.loads((run.HERE / "package-lock.json").read_text())["packages"]

    assert [name for name, version in pinned.items() if not re.fullmatch(r"\d+\.\d+\.\d+", version)] == []
    assert {name: locked[f"node_modules/{name}"]["version"] for name in pinned} == pinned
    assert [name for name, package in locked.items() if name and not package.get("integrity")] == []


def test_each_client_is_one_of_the_pinned_packages() -> None:
    assert sorted(program.package for program in PROGRAMS) == sorted(table.versions(run.HERE / "package.json"))


def test_the_table_in_the_page_has_a_row_for_each_client_in_its_pinned_version() -> None:
    begin, end = table.markers("clients")
    written = run.PAGE.read_text(encoding="utf-8").partition(begin)[2].partition(end)[0]
    pinned = table.versions(run.HERE / "package.json")

    rows = [f"{program.title} {pinned[program.package]}" for program in PROGRAMS]
    assert re.findall(r"^\| ([^|]+? \d\S*) \|", written, re.MULTILINE) == rows


def test_what_did_not_work_is_told_beneath_the_table() -> None:
    report = Report(Codex)
    report.note("Log in", Seen(worked=True, words="done"))
    report.note("List", Seen(worked=False, words="http://127.0.0.1:81/mcp | is away"))

    text = table.render([report], {"@openai/codex": "1.2.3"})

    assert text.splitlines()[2] == "| codex 1.2.3 |  |  |  | yes | no (1) |  |  |  |  |  | `codex mcp login NAME` |"
    assert text.splitlines()[4] == "1. codex, list: http://HOST/mcp is away"


def test_writing_replaces_what_stands_between_the_markers_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    begin, end = table.markers("x")
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n")

    table.write(page, "x", "new")

    assert page.read_text() == f"before\n{begin}\nnew\n{end}\nafter\n"


def test_a_page_without_markers_is_not_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("text")

    with pytest.raises(ValueError, match="no line"):
        table.write(page, "x", "new")


def test_what_a_terminal_shows_is_read_as_plain_text() -> None:
    assert plain(b"\x1b[1mdemo:\x1b[0m\x1b[1Cup\r\n\x1b[?25h\x1b]0;title\x07") == "demo: up\n"
