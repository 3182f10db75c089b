"""The import contract bites: violations planted in a copy of the package make the gate fail and are named."""

from __future__ import annotations

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
        timeout=60,
    )


def test_upward_sideways_and_impure_imports_are_named(package: Path) -> None:
    (package / "stores" / "planted.py").write_text("import gatepost.web\n")
    (package / "web" / "planted.py").write_text("import gatepost.settings\n")
    (package / "server" / "planted.py").write_text("import gatepost.identity\n")
    (package / "oauth" / "planted.py").write_text("import gatepost.resource\nimport time\n")
    (package / "tokens" / "planted.py").write_text("def late():\n    import secrets\n")

    result = check_contract(package)

    assert result.returncode == 1
    chains = (
        "gatepost.stores.planted -> gatepost.web",
        "gatepost.web.planted -> gatepost.settings",
        "gatepost.server.planted -> gatepost.identity",
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
