"""Each script in `findings` says what it is about, stands in the list and leaves nothing behind."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "findings"
SCRIPTS = sorted(FOLDER.glob("*.sh"))
FIELDS = ["Package", "Version", "Seen", "Guess", "Happens", "Matters"]
each_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)


def header(script: Path) -> list[tuple[str, str]]:
    """The fields of the comment at the top, in order; a value may go on over several lines."""
    comment = re.match(r"#!/usr/bin/env bash\n((?:#.*\n)+)", script.read_text(encoding="utf-8"))
    assert comment is not None
    joined = re.sub(r"\n# {5,}", " ", comment[1])
    return re.findall(r"^# (\w+): +(\S.*)$", joined, re.MULTILINE)


@each_script
def test_a_finding_says_what_it_is_about_and_can_be_run(script: Path) -> None:
    assert [name for name, _ in header(script)] == FIELDS
    assert os.access(script, os.X_OK)


def test_the_readme_lists_every_finding_with_package_version_and_day() -> None:
    rows = re.findall(r"^\| \[.*$", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert rows == [
        f"| [`{script.name}`]({script.name}) | {' | '.join(value for _, value in header(script)[:3])} |"
        for script in SCRIPTS
    ]


@each_script
def test_a_finding_that_cannot_install_its_package_says_so_and_leaves_nothing(script: Path, tmp_path: Path) -> None:
    refusing, temporary = tmp_path / "bin", tmp_path / "temporary"
    refusing.mkdir()
    temporary.mkdir()
    for name in ("npm", "python3"):
        (refusing / name).write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        (refusing / name).chmod(0o700)
    environment = {"PATH": f"{refusing}{os.pathsep}{os.environ['PATH']}", "TMPDIR": str(temporary)}

    done = subprocess.run([script], env=environment, check=False, timeout=60, capture_output=True)

    assert (done.returncode, list(temporary.iterdir())) == (2, [])
