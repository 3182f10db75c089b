"""Each requirement of the MCP specification in `tests/requirements.*.toml` is held by a test that exists."""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLES = sorted(path.name for path in (ROOT / "tests").glob("requirements.*.toml"))
LEVELS = {"MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "REQUIRED", "RECOMMENDED", "OPTIONAL"}
REVISIONS = sorted({name.split(".")[1] for name in TABLES})
TEXTS = ("id", "section", "level", "rule")
# The promises of the store contract are tests that ship with the package.
FOLDERS = ("tests/", "src/gatepost/stores/conformance/")
# A requirement is held by tests, or says why it is not held, or what its author is given to keep it.
KEPT_BY = ("tests", "departure", "author")


def named_tests(path: Path) -> set[str]:
    """The tests of a file, as pytest names them after `::`; empty when there is no such file."""
    if not path.is_file():
        return set()
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        for function in inside:
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and function.name.startswith("test_"):
                found.add(prefix + function.name)
    return found


def problems_of(entry: dict[str, Any], root: Path) -> list[str]:
    """What is wrong with one requirement; paths of tests count from `root`."""
    problems = [f"unknown field {name}" for name in entry.keys() - {*TEXTS, *KEPT_BY}]
    problems += [f"{name} must be a text" for name in TEXTS if not written(entry.get(name))]
    if entry.get("level") not in LEVELS:
        problems.append(f"unknown level {entry.get('level')}")
    if sum(name in entry for name in KEPT_BY) != 1:
        problems.append("exactly one of tests, departure and author is needed")
    problems += [f"{name} must be a text" for name in KEPT_BY[1:] if name in entry and not written(entry[name])]
    if "tests" not in entry:
        return problems
    if not isinstance(entry["tests"], list) or not entry["tests"]:
        return [*problems, "tests must be a list of at least one"]
    for test in entry["tests"]:
        file, _, name = str(test).partition("::")
        if not file.startswith(FOLDERS) or name not in named_tests(root / file):
            problems.append(f"there is no test {test}")
    return problems


def page_problems(tables: Iterable[Mapping[str, Any]]) -> list[str]:
    """What is wrong with the list of pages of one revision, which may stand in any of its tables.

    Every page of the specification is listed: with `path`, and with `none`, which says why, where it asks a server for
    nothing that stands in the tables.
    """
    contents = list(tables)
    pages = [page for content in contents for page in content.get("page", [])]
    asking = {entry["section"].partition("#")[0] for content in contents for entry in content.get("requirement", [])}
    times = Counter(page.get("path") for page in pages)
    found = [f"{path}: the page is listed {count} times" for path, count in times.items() if count > 1]
    found += [f"{path}: the page is not listed" for path in sorted(asking - times.keys())]
    for page in pages:
        path = page.get("path")
        found += [f"{path}: unknown field {name}" for name in page.keys() - {"path", "none"}]
        if "none" in page and not written(page["none"]):
            found.append(f"{path}: none must be a text")
        if ("none" in page) == (path in asking):
            found.append(f"{path}: either requirements or none is needed")
    return found


def written(value: object) -> bool:
    """Whether the value is a text that says something."""
    return isinstance(value, str) and bool(value.strip())


def problems(table: Path, root: Path) -> list[str]:
    """What is wrong with a table, one line for each, beginning with the requirement's id."""
    content = tomllib.loads(table.read_text(encoding="utf-8"))
    entries = content.get("requirement", [])
    found = [f"unknown table {name}" for name in content.keys() - {"requirement", "page"}]
    if not entries:
        found.append("there is no requirement")
    times = Counter(entry.get("id") for entry in entries)
    found += [f"{name}: the id is used {count} times" for name, count in times.items() if count > 1]
    return found + [f"{entry.get('id')}: {problem}" for entry in entries for problem in problems_of(entry, root)]


def test_the_tables_are_found() -> None:
    assert "requirements.2026-07-28.toml" in TABLES


@pytest.mark.parametrize("name", TABLES)
def test_every_requirement_is_held_by_a_test(name: str) -> None:
    assert problems(ROOT / "tests" / name, ROOT) == []


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_page_of_a_revision_has_requirements_or_a_reason(revision: str) -> None:
    paths = [ROOT / "tests" / name for name in TABLES if name.split(".")[1] == revision]
    tables = [tomllib.loads(path.read_text(encoding="utf-8")) for path in paths]
    times = Counter(entry["id"] for table in tables for entry in table["requirement"])

    assert [name for name, count in times.items() if count > 1] == []
    assert page_problems(tables) == []


GOOD = {
    "id": '"http-1"',
    "section": '"basic/transports/streamable-http#cancellation"',
    "level": '"MUST"',
    "rule": '"A rule."',
    "tests": '["tests/test_good.py::test_one", "tests/test_good.py::TestClass::test_two"]',
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with two tests."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_good.py").write_text(
        "async def test_one(): ...\ndef helper(): ...\nclass TestClass:\n    def test_two(self): ...\n"
    )
    return tmp_path


def judged(root: Path, *entries: dict[str, str]) -> list[str]:
    """What the gate says of a table with these entries, whose values are written as in TOML."""
    table = root / "tests" / "requirements.toml"
    table.write_text(
        "\n".join(
            "[[requirement]]\n" + "".join(f"{name} = {value}\n" for name, value in entry.items()) for entry in entries
        )
    )
    return problems(table, root)


def test_functions_coroutines_and_methods_count_as_tests(root: Path) -> None:
    assert judged(root, GOOD) == []


@pytest.mark.parametrize(
    "test",
    [
        "tests/test_good.py::test_gone",
        "tests/test_gone.py::test_one",
        "tests/test_good.py::helper",
        "tests/test_good.py::test_two",
        "tests/test_good.py::TestClass",
        "tests/test_good.py",
    ],
)
def test_a_test_that_does_not_exist_is_named(root: Path, test: str) -> None:
    assert judged(root, {**GOOD, "tests": f'["{test}"]'}) == [f"http-1: there is no test {test}"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"tests": "[]"}, "http-1: tests must be a list of at least one"),
        ({"tests": '"tests/test_good.py::test_one"'}, "http-1: tests must be a list of at least one"),
        ({"tets": "[]"}, "http-1: unknown field tets"),
        ({"level": '"MSUT"'}, "http-1: unknown level MSUT"),
        ({"rule": '" "'}, "http-1: rule must be a text"),
        ({"departure": '"Why."'}, "http-1: exactly one of tests, departure and author is needed"),
    ],
)
def test_what_is_misspelt_or_empty_is_named(root: Path, change: dict[str, str], problem: str) -> None:
    assert judged(root, {**GOOD, **change}) == [problem]


@pytest.mark.parametrize("name", ["departure", "author"])
def test_a_requirement_without_a_test_says_why(root: Path, name: str) -> None:
    entry = {key: value for key, value in GOOD.items() if key != "tests"}

    assert judged(root, entry) == ["http-1: exactly one of tests, departure and author is needed"]
    assert judged(root, {**entry, name: '" "'}) == [f"http-1: {name} must be a text"]
    assert judged(root, {**entry, name: '"Why."'}) == []


def test_an_id_is_used_once(root: Path) -> None:
    assert judged(root, GOOD, GOOD) == ["http-1: the id is used 2 times"]


def test_a_misspelt_table_does_not_hide_its_requirements(root: Path) -> None:
    table = root / "tests" / "requirements.toml"
    table.write_text('[[requirements]]\nid = "http-1"\n')

    assert problems(table, root) == ["unknown table requirements", "there is no requirement"]


def test_a_page_has_requirements_or_a_reason() -> None:
    entry = {"section": "basic/index#requests"}
    page = {"path": "basic/index"}
    silent = {"path": "index", "none": "It introduces the others."}

    assert page_problems([{"page": [page, silent]}, {"requirement": [entry]}]) == []
    assert page_problems([{"page": [page]}]) == ["basic/index: either requirements or none is needed"]
    assert page_problems([{"page": [silent, silent]}]) == ["index: the page is listed 2 times"]
    assert page_problems([{"page": [{**silent, "none": " "}]}]) == ["index: none must be a text"]
    assert page_problems([{"page": [{**silent, "nono": "x"}]}]) == ["index: unknown field nono"]
    assert page_problems([{"requirement": [entry], "page": [silent]}]) == ["basic/index: the page is not listed"]
    assert page_problems([{"requirement": [entry], "page": [{**page, "none": "x"}]}]) == [
        "basic/index: either requirements or none is needed"
    ]
