"""The runner of the conformance suite: what counts as passed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "tools" / "conformance"


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    """The runner, as a module."""
    spec = importlib.util.spec_from_file_location("conformance_run", FOLDER / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_warning_is_found_unless_it_is_about_an_extension(runner: ModuleType, tmp_path: Path) -> None:
    checks = [
        {"id": "good", "status": "SUCCESS"},
        {"id": "told", "status": "INFO"},
        {"id": "bad", "status": "WARNING", "errorMessage": "It is not."},
        {"id": "silent", "status": "WARNING"},
    ]
    for scenario in ("server-tools-list", "server-tasks-lifecycle"):
        (tmp_path / scenario).mkdir()
        (tmp_path / scenario / "checks.json").write_text(json.dumps(checks))

    assert list(runner.warnings(tmp_path)) == ["bad: It is not.", "silent: "]


def test_every_package_of_the_suite_is_pinned_by_its_hash_and_names_no_host() -> None:
    text = (FOLDER / "package-lock.json").read_text()
    packages = json.loads(text)["packages"]

    assert packages[""]["dependencies"] == json.loads((FOLDER / "package.json").read_text())["dependencies"]
    assert [name for name, package in packages.items() if name and "integrity" not in package] == []
    assert "resolved" not in text
