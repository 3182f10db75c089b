"""The page about testing a server shows tests that pass, with what `gatepost[dev]` brings."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "testing.md").read_text(encoding="utf-8")
PROGRAM = "\n\n".join(re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
(SETTINGS,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    (tmp_path / "test_page.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    # An environment that has the plugin installed would load it under its name as well.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:gatepost", "-p", "gatepost.testing.plugin"]
    ran = subprocess.run(
        [*command, "-W", "error", "-p", "no:cacheprovider", "test_page.py"],
        cwd=tmp_path,
        # What a shell has set does not leak into the servers of tests; options of this run are none of that one's.
        env={
            **os.environ,
            "PYTEST_ADDOPTS": "",
            "PYTHONPATH": str(REPOSITORY / "src"),
            "MCP_REQUIRE_AUTH": "false",
            "MCP_PORT": "none",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    tests = len(re.findall(r"^async def test_", PROGRAM, re.MULTILINE)) + 1  # one has two parameters
    assert (ran.returncode, ran.stdout.splitlines()[-1].partition(" in ")[0]) == (0, f"{tests} passed"), ran.stdout


def test_the_extra_brings_what_the_tests_of_the_page_need() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = {Requirement(one).name.replace("-", "_") for one in project["optional-dependencies"]["dev"]}
    runtime = {Requirement(one).name for one in project["dependencies"]}
    imported = set(re.findall(r"^(?:import|from) (\w+)", PROGRAM, re.MULTILINE))

    assert imported <= extra | runtime | {"gatepost"}
    assert "pytest_asyncio" in extra
