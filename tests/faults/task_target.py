"""Tools that are tasks, in a process that others take for dead after a few seconds; each run is noted in a file."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from gatepost import Server, TaskOptions
from gatepost.extensions.tasks import runs, upkeep

runs.LEASE_SECONDS = 3  # type: ignore[misc]  # so that a test need not wait for a minute
upkeep._QUIET_SECONDS = 0.5  # type: ignore[misc]  # likewise
upkeep.POLL_SECONDS = 0.1  # type: ignore[misc]  # likewise, and several times in the three seconds also where it is heard

server = Server("tasks")
FOLDER = Path(os.environ["TASK_FOLDER"])


def _note(what: str, name: str) -> None:
    descriptor = os.open(FOLDER / what, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{name}\n".encode())
    os.close(descriptor)


async def _work(name: str) -> str:
    _note("runs", name)
    try:
        while True:
            if await asyncio.to_thread((FOLDER / "gate").exists):
                return f"{name} is done"
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        _note("left", name)
        raise


@server.tool(task=TaskOptions(resumable=True))
async def again(name: str) -> str:
    """Run again when its process dies."""
    return await _work(name)


@server.tool(task=True)
async def once(name: str) -> str:
    """Not run again."""
    return await _work(name)
