"""npm packages are installed once, however many processes of the tests ask for them."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tools import npm_packages


def test_while_npm_installs_other_processes_wait_and_then_find_it_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, packages = tmp_path / "source", tmp_path / "packages"
    source.mkdir()
    (source / "package.json").write_text("{}")
    (source / "package-lock.json").write_text("{}")
    runs: list[Path] = []

    def run(_command: list[str], *, cwd: Path, **_: Any) -> None:
        runs.append(cwd)
        with (packages / "installing").open("w") as another, pytest.raises(BlockingIOError):
            fcntl.flock(another, fcntl.LOCK_EX | fcntl.LOCK_NB)

    monkeypatch.setattr(subprocess, "run", run)

    npm_packages.install(source, packages, timeout=1)
    npm_packages.install(source, packages, timeout=1)

    assert runs == [packages]
