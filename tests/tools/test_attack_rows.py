"""Each demand in `tests/attacks/rows.toml` is held by tests of that folder that exist, or says where or why not."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.tools.test_requirements import named_tests, written

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "tests" / "attacks" / "rows.toml"
NAMED = (
    "stale-refresh-tokens",
    "device-logins",
    "pushed-requests",
    "redirect-uris",
    "pages",
    "passkeys",
    "second-step",
    "required-second-step",
    "upstream-logins",
    "linked-logins",
    "upstream-tokens",
    "identity-seams",
    "api-keys",
    "dpop",
    "enterprise-managed-authorization",
    "workload-identity",
    "token-exchange",
    "administration",
    "mcp-transport",
    "tasks",
    "openapi",
    "faults",
    "load",
)
IDS = {*map(str, range(1, 32)), *NAMED}
_FILE = re.compile(r"tests/[\w/]+\.py")


def problems_of(row: dict[str, Any], root: Path) -> list[str]:
    """What is wrong with one row; paths count from `root`."""
    problems = [f"unknown field {name}" for name in row.keys() - {"id", "rule", "tests", "elsewhere"}]
    if not written(row.get("rule")):
        problems.append("rule must be a text")
    if not row.get("tests") and not written(row.get("elsewhere")):
        problems.append("neither tests nor elsewhere")
    for test in row.get("tests", []):
        file, _, name = str(test).partition("::")
        if not file.startswith("tests/attacks/") or name not in named_tests(root / file):
            problems.append(f"there is no test {test}")
    files = _FILE.findall(row.get("elsewhere", ""))
    return problems + [f"there is no file {file}" for file in files if not named_tests(root / file)]


def problems(content: dict[str, Any], root: Path) -> list[str]:
    """What is wrong with a table, one line for each, beginning with the row's id."""
    rows = content.get("row", [])
    ids = [row.get("id") for row in rows]
    found = [f"{name}: is missing" for name in sorted(IDS - set(ids))]
    found += [f"{name}: is no row, or stands there twice" for name in ids if name not in IDS or ids.count(name) > 1]
    return found + [f"{row.get('id')}: {problem}" for row in rows for problem in problems_of(row, root)]


def test_every_demand_is_held_by_an_attack() -> None:
    assert problems(tomllib.loads(TABLE.read_text(encoding="utf-8")), ROOT) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            {"tests": ["tests/attacks/test_good.py::test_gone"]},
            "there is no test tests/attacks/test_good.py::test_gone",
        ),
        ({"tests": ["tests/web/test_good.py::test_one"]}, "there is no test tests/web/test_good.py::test_one"),
        ({"tests": []}, "neither tests nor elsewhere"),
        ({"tests": [], "elsewhere": " "}, "neither tests nor elsewhere"),
        ({"elsewhere": "As tests/web/test_gone.py says."}, "there is no file tests/web/test_gone.py"),
        ({"tets": []}, "unknown field tets"),
        ({"rule": ""}, "rule must be a text"),
    ],
)
def test_what_is_not_there_or_says_nothing_is_named(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    for folder in ("attacks", "web"):
        (tmp_path / "tests" / folder).mkdir(parents=True)
        (tmp_path / "tests" / folder / "test_good.py").write_text("async def test_one(): ...\n")
    good = {"id": "1", "rule": "A rule.", "tests": ["tests/attacks/test_good.py::test_one"]}
    assert problems_of(good, tmp_path) == []
    assert problems_of({**good, "tests": [], "elsewhere": "See tests/web/test_good.py."}, tmp_path) == []
    assert problems_of({**good, **change}, tmp_path) == [problem]


def test_every_row_is_there_once() -> None:
    rows = [{"id": name, "rule": "A rule.", "elsewhere": "Nowhere yet."} for name in sorted(IDS)]
    assert problems({"row": rows}, ROOT) == []
    assert problems({"row": rows[1:]}, ROOT) == [f"{rows[0]['id']}: is missing"]
    assert len(problems({"row": [*rows, rows[0]]}, ROOT)) == 2
    assert problems({"row": [*rows, {**rows[0], "id": "32"}]}, ROOT) == ["32: is no row, or stands there twice"]
