"""The interpreters of this machine, by their version, whoever installed them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path


def find_interpreter(version: str) -> Path | None:
    """Return an interpreter of this version, such as `3.12`: the newest that pyenv has, or the one on PATH."""
    return next((path for path in _candidates(version) if _is(path, version)), None)


def _candidates(version: str) -> Iterator[Path]:
    root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    yield from sorted(
        root.glob(f"versions/{version}.*/bin/python"),
        key=lambda path: [int(part) for part in path.parents[1].name.split(".") if part.isdecimal()],
        reverse=True,
    )
    if (found := shutil.which(f"python{version}")) is not None:
        yield Path(found)


def _is(path: Path, version: str) -> bool:
    """Say whether it starts, which what pyenv puts on PATH does only in folders where that version is chosen."""
    asked = [str(path), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
    except OSError:
        return False
    return said.stdout.strip() == version
