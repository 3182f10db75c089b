"""How a store bears growth: token checks among few and many grants, and traffic beside the deletion of what is over."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.environments import CHECKOUT
from benchmarks.load import Load
from benchmarks.peers import SERVERS

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
RESOURCE: Final = "http://127.0.0.1:1/mcp"
_CHECK_SECONDS: Final = 120
_PURGE_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class Check:
    """Microseconds of one token check."""

    took: float
    """On the clock."""
    worked: float
    """Of our own processor."""


@dataclass(slots=True)
class Growth:
    """Token checks by the key of an arrangement and the number of grants, one for each round."""

    checks: dict[tuple[str, int], list[Check]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Purge:
    """Refreshes with and without a purge beside them."""

    title: str
    rows: int
    """Grants that were over; each had a token, too."""
    quiet: Load
    beside: Load
    seconds: float
    """How long the purge took."""
    was_running: bool
    """Whether it went on for as long as the load."""


@dataclass(slots=True)
class Purging:
    """A purge that has begun; the rest is known once it has ended."""

    seconds: float = 0.0
    was_running: bool = False


def checked(store: str, tokens: Sequence[str]) -> Check:
    """Check tokens of a store that no server has open, each of them unknown to the cache."""
    script = [sys.executable, str(SERVERS / "gatepost_token_check.py"), store, f"--resource={RESOURCE}"]
    finished = subprocess.run(
        script,
        input="\n".join(tokens),
        capture_output=True,
        text=True,
        check=True,
        timeout=_CHECK_SECONDS,
        env=_environment(),
    )
    took, worked = finished.stdout.split()
    return Check(float(took), float(worked))


@contextmanager
def purging(store: str, directory: Path) -> Iterator[Purging]:
    """Purge a store by the command line while the context lasts, and wait for its end."""
    purge = Purging()
    environment = {**_environment(), "MCP_STORAGE_URL": store, "OAUTH_STORAGE_DIR": str(directory)}
    command = [sys.executable, "-m", "gatepost", "store", "purge"]
    began = time.monotonic()
    with subprocess.Popen(command, env=environment, cwd=directory, stdout=subprocess.DEVNULL) as process:
        try:
            yield purge
            purge.was_running = process.poll() is None
            process.wait(_PURGE_SECONDS)
        finally:
            process.kill()
    purge.seconds = time.monotonic() - began


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(CHECKOUT / "src")}
