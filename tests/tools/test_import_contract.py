"""The import contract bites: violations planted in a copy of the package make the gate fail and are named."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package."""
    copy = tmp_path / "src" / "gatepost"
    shutil.copytree(ROOT / "src" / "gatepost", copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def check_contract(package: Path) -> subprocess.CompletedProcess[str]:
    """Run the gate on the copy, which hides the installed package."""
    return subprocess.run(
        [sys.executable, "-c", LINT, "--config", str(ROOT / ".importlinter"), "--no-cache", "--no-logo"],
        cwd=package.parent,
        env={**os.environ, "PYTHONPATH": str(package.parent), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def test_upward_sideways_and_impure_imports_are_named(package: Path) -> None:
    (package / "stores" / "planted.py").write_text("import gatepost.web\n")
    (package / "web" / "planted.py").write_text("import gatepost.configuration.settings\n")
    (package / "server" / "planted.py").write_text("import gatepost.identity\nimport gatepost.stdio.serving\n")
    (package / "oauth" / "planted.py").write_text("import gatepost.resource\nimport time\n")
    (package / "tokens" / "planted.py").write_text("def late():\n    import secrets\n")

    result = check_contract(package)

    assert result.returncode == 1
    chains = (
        "gatepost.stores.planted -> gatepost.web",
        "gatepost.web.planted -> gatepost.configuration.settings",
        "gatepost.server.planted -> gatepost.identity",
        "gatepost.server.planted -> gatepost.stdio.serving",
        "gatepost.oauth.planted -> gatepost.resource",
        "gatepost.oauth.planted -> time",
        "gatepost.tokens.planted -> secrets",
    )
    assert [chain for chain in chains if chain not in result.stdout] == []


def test_a_package_without_a_place_in_the_layers_is_refused(package: Path) -> None:
    (package / "planted.py").write_text("")

    result = check_contract(package)

    assert result.returncode == 1
    assert "- gatepost.planted" in result.stdout


# What users name at run time; the names in gatepost/__init__.py and gatepost/testing/__init__.py, which the contract
# knows of; the modules of subcommands, in the topmost layer; the kinds of login providers, each imported where the
# settings name it; what extensions make of options of tools; and the test module of a store of somebody else's, in a
# process of the conformance suite's.
IMPORTS_BY_NAME = {
    "__init__.py",
    "cli/main.py",
    "configuration/loading.py",
    "configuration/upstreams.py",
    "server/declared/extension_options.py",
    "stores/conformance/concurrency/worker.py",
    "testing/__init__.py",
}


def test_nothing_is_imported_behind_the_contracts_back() -> None:
    source = ROOT / "src" / "gatepost"
    importing = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Attribute) and node.attr == "import_module")
        or (isinstance(node, ast.Name) and node.id in {"import_module", "__import__"})
    }

    assert importing == IMPORTS_BY_NAME
