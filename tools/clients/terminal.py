"""Run a client's command at a terminal of its own, for a bounded time."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

STEP_SECONDS = 60.0
_FORWARD = re.compile(r"\x1b\[\d*[CG]")  # how some write a blank
_CONTROLS = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[\[?>=][0-9;?>=]*[a-zA-Z]?|[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Done:
    """How a command ended: its exit code (None: it had to be ended) and what it said, without control characters."""

    code: int | None
    text: str

    @property
    def last_line(self) -> str:
        """What it said last."""
        return next((line.strip() for line in reversed(self.text.splitlines()) if line.strip()), "")

    def line_with(self, *words: str) -> str:
        """Return the first line that contains one of the words in any case, or the last line."""
        lines = (line.strip() for line in self.text.splitlines())
        return next((line for line in lines if any(word in line.lower() for word in words)), self.last_line)


def run(
    command: list[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    seconds: float = STEP_SECONDS,
    hears: Callable[[str], None] | None = None,
) -> Done:
    """Run a command at a pseudo-terminal; some clients log in at nothing else.

    Args:
        command: the program and its arguments.
        cwd: where it runs.
        environment: all of its variables.
        seconds: when it is ended, with everything that it started.
        hears: is given all the text so far whenever there is more.
    """
    ours, its = pty.openpty()
    process = subprocess.Popen(  # noqa: S603 - pinned by its hash
        command, cwd=cwd, env=dict(environment), stdin=its, stdout=its, stderr=its, start_new_session=True
    )
    os.close(its)
    said = b""
    end = time.monotonic() + seconds
    try:
        while (left := end - time.monotonic()) > 0:
            if not select.select([ours], [], [], min(left, 0.2))[0]:
                if process.poll() is not None:
                    break
                continue
            try:
                part = os.read(ours, 65_536)
            except OSError:  # Linux: nobody holds the other end any more
                break
            said += part
            if hears is not None:
                hears(plain(said))
        code = _code(process, end)
    finally:
        end_group(process)
        os.close(ours)
    return Done(code, plain(said))


def plain(said: bytes) -> str:
    """Return the text without colours, cursor movements and the like."""
    text = said.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", _FORWARD.sub(" ", text))


def _code(process: subprocess.Popen[bytes], end: float) -> int | None:
    try:
        return process.wait(timeout=max(0.1, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None


def end_group(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """End a process that leads a group of its own, and whatever is left of the group."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=3)
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
