"""A file system of a few megabytes, which a test can fill; mounting one takes root."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_FILLER: Final = "filler"


@dataclass(frozen=True)
class SmallFileSystem:
    """A folder with so little room that it can be used up."""

    folder: Path

    def fill(self) -> None:
        """Leave not one byte."""
        with (self.folder / _FILLER).open("ab", buffering=0) as filler:
            for piece in (b"\0" * 65536, b"\0" * 512, b"\0"):
                try:
                    while True:
                        filler.write(piece)
                except OSError:
                    continue

    def free(self) -> None:
        """Give back what `fill` took."""
        (self.folder / _FILLER).unlink(missing_ok=True)


@contextmanager
def small_file_system(megabytes: int) -> Iterator[SmallFileSystem]:
    """Mount one for the block."""
    folder = Path(tempfile.mkdtemp(prefix="gatepost-small-"))
    try:
        _mount("-t", "tmpfs", "-o", f"size={megabytes}m,mode=0777", "tmpfs", str(folder))
        try:
            yield SmallFileSystem(folder)
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=60)
    finally:
        folder.rmdir()


@cache
def is_possible() -> bool:
    """Say whether one can be mounted here."""
    if os.geteuid() != 0:
        return False
    try:
        with small_file_system(1):
            return True
    except (OSError, subprocess.SubprocessError):
        return False


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True, timeout=60)
