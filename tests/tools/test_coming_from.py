"""The pages for those who come from another system: each row names a test that there is, or a record."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(set((ROOT / "docs" / "coming-from").glob("*.md")) - {ROOT / "docs" / "coming-from" / "README.md"})
HEADINGS = ["What you have", "Here", "Shown by"]
_CELL = re.compile(r"(?<!\\)\|")
_TEST = re.compile(r"`(tests/[\w/]+\.py(?:::\w+)+)`")
_RECORD = re.compile(r"\[(\d{4})\]\(\.\./decisions/(\d{4})-[\w-]+\.md\)")


def rows_of(page: Path) -> Iterator[list[str]]:
    """Yield the cells of each row of the page's tables, headings left out."""
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in _CELL.split(line)[1:-1]]
            if cells != HEADINGS and not set("".join(cells)) <= {"-"}:
                yield cells


@cache
def names_in(path: str) -> frozenset[str]:
    """Return what a test file holds, methods with their class: `test_x`, `TestY::test_z`."""
    found: set[str] = set()
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = (inner.name for inner in node.body if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef))
            found |= {f"{node.name}::{name}" for name in methods}
    return frozenset(found)


def test_there_is_a_page_for_each_system_and_none_is_empty() -> None:
    assert {page.stem for page in PAGES} == {
        "fastmcp",
        "official-sdk",
        "mcp-service",
        "generic-mcp-server",
        "mcp-auth-step-by-step",
        "http-mcp",
        "mcp-oauth-server",
    }
    assert [page.name for page in PAGES if not list(rows_of(page))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_row_names_a_test_or_a_record_and_all_of_them_exist(page: Path) -> None:
    wrong: list[str] = []
    for cells in rows_of(page):
        if len(cells) != len(HEADINGS):
            wrong.append(f"{len(cells)} cells: {cells[0]}")
            continue
        shown_by = cells[2]
        tests, records = _TEST.findall(shown_by), [target for _, target in _RECORD.findall(shown_by)]
        rest = _RECORD.sub("", _TEST.sub("", shown_by)).strip()
        if rest or not tests + records:
            wrong.append(f"neither test nor record: {cells[0]}")
        for test in tests:
            path, _, name = test.partition("::")
            if not (ROOT / path).is_file() or name not in names_in(path):
                wrong.append(f"no such test: {test}")
        wrong += [f"no such record: {one}" for one in records if not list((ROOT / "docs/decisions").glob(f"{one}-*"))]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_shown_by_records_says_the_number_that_it_links_to(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [pair for pair in _RECORD.findall(text) if pair[0] != pair[1]] == []
