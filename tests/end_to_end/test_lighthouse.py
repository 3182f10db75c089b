"""Lighthouse (npm, pinned by hash) looks at the dev page: what does not depend on how busy the machine is."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import RequireService
from tests.end_to_end.dev_server import DevServer
from tests.end_to_end.running_server import REPOSITORY
from tools import npm_packages

SOURCE = REPOSITORY / "tools" / "lighthouse"
PACKAGES = REPOSITORY / ".venv" / "lighthouse"
_DEADLINE = 300  # seconds; only ever reached when something is broken
_CHROMIUM = "--headless=new --no-sandbox --disable-gpu"


@functools.cache
def is_installed() -> bool:
    """Install what `tools/lighthouse/package-lock.json` pins; return whether it is there now."""
    try:
        npm_packages.install(SOURCE, PACKAGES, timeout=_DEADLINE)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def scores(url: str, report: Path, chromium: str) -> dict[str, float]:
    """Have Lighthouse look at a page as on a phone; return its scores, 1 at most, by category."""
    program = PACKAGES / "node_modules" / "lighthouse" / "cli" / "index.js"
    command = [str(npm_packages.NODE), str(program), url, "--quiet", "--output=json", f"--output-path={report}"]
    subprocess.run(
        [*command, f"--chrome-flags={_CHROMIUM}", "--only-categories=accessibility,best-practices"],
        env={**npm_packages.node_environment(), "CHROME_PATH": chromium},
        check=True,
        timeout=_DEADLINE,
        capture_output=True,
    )
    found = json.loads(report.read_text(encoding="utf-8"))
    assert not found.get("runtimeError"), found["runtimeError"]
    return {name: category["score"] for name, category in found["categories"].items()}


def test_lighthouse_objects_to_nothing_on_the_dev_page(tmp_path: Path, require_service: RequireService) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    require_service("Chromium", available=chromium is not None)
    require_service("Lighthouse (npm)", available=is_installed())
    assert chromium is not None
    dev = DevServer(tmp_path)
    dev.write_version("first")
    with dev:
        found = scores(dev.link, tmp_path / "report.json", chromium)
    assert found == {"accessibility": 1, "best-practices": 1}


@pytest.mark.parametrize("name", ["package.json", "package-lock.json"])
def test_lighthouse_is_pinned_to_one_version(name: str) -> None:
    found = json.loads((SOURCE / name).read_text(encoding="utf-8"))
    named = found.get("packages", {"": found})[""]["dependencies"]
    assert named == {"lighthouse": "13.5.0"}
    assert all("integrity" in package for place, package in found.get("packages", {}).items() if place)
