"""The distributions of this checkout, built once for a test file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Distributions:
    """What an index would get."""

    wheel: Path
    source: Path


def run_uv(*arguments: str | Path, cwd: Path = ROOT) -> str:
    """Run uv and return what it printed; AssertionError with what it complained about."""
    done = subprocess.run(
        [sys.executable, "-m", "uv", *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """Build them as `make dist` does: the wheel from the source distribution, with the pinned build backend."""
    folder = tmp_path_factory.mktemp("dist")
    build = ("build", "--quiet", "--offline", "--no-build-isolation", "--python", sys.executable)
    run_uv(*build, "--out-dir", folder, ROOT)
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Distributions(wheel, source)


@pytest.fixture(scope="session")
def make_environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that makes an environment with what a file pins, and returns its interpreter."""

    def make(interpreter: Path, pins: Path, wheel: Path) -> Path:
        folder = tmp_path_factory.mktemp("environment")
        python = folder / "bin" / "python"
        run_uv("venv", "--quiet", "--no-python-downloads", "--python", interpreter, folder)
        run_uv("pip", "install", "--quiet", "--python", python, "--require-hashes", "--requirement", pins)
        run_uv("pip", "install", "--quiet", "--python", python, "--no-deps", wheel)
        return python

    return make
