"""Processes that work on the store of a test, and what they say."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from gatepost.stores.conformance.places import Place

NAMES: Final = ("a", "b", "c", "d")

# A process that is killed would leave half a coverage file behind.
_LEFT_OUT: Final = "COVERAGE_"


@contextmanager
def worker(action: str, place: Place, name: str) -> Iterator[subprocess.Popen[str]]:
    """Start a process that does an action of `worker.py` once it is told to, and leave none behind."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(_LEFT_OUT)}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    module, function = place.importable
    process = subprocess.Popen(  # noqa: S603 - our own module, on a store of the test
        [
            sys.executable,
            "-m",
            "gatepost.stores.conformance.concurrency.worker",
            *(module, function, place.location, action, name),
        ],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def lines(process: subprocess.Popen[str]) -> Iterator[str]:
    """Return what a process prints, line by line; of one that was killed the last line may be missing."""
    assert process.stdout is not None
    return (line.removesuffix("\n") for line in process.stdout if line.endswith("\n"))


def let_go(processes: Sequence[subprocess.Popen[str]]) -> None:
    """Wait until every process is ready, then let all of them go at once."""
    for process in processes:
        said = next(lines(process), None)
        assert said == "ready", "a new process cannot open the store; its error is printed above"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


async def race(action: str, place: Place) -> list[Any]:
    """Run the action in four processes at once, and return what came of it in each."""

    def run() -> list[Any]:
        with ExitStack() as stack:
            processes = [stack.enter_context(worker(action, place, name)) for name in NAMES]
            let_go(processes)
            said = [next(lines(process), None) for process in processes]
            assert None not in said, f"a process that was to {action} has failed; its error is printed above"
            return [json.loads(line) for line in said if line is not None]

    return await asyncio.to_thread(run)
