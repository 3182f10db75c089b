"""Commands at a terminal as a person types them, and what stands on the screen, without secrets and chance."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tools.clients.terminal import end_group, plain

STEP_SECONDS = 120.0
_POLL = 0.1
_CHANCE: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(gp_[a-z]{2}_)[\w-]{20,}"), r"\1…"),
    (re.compile(r"\b(user|client|grant)_[\w-]{16,}(?=  )"), "\\1_…" + 21 * " "),
    (re.compile(r"\b(user|client|grant)_[\w-]{16,}"), r"\1_…"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"), "2026-12-01T09:00:00Z"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "…"),
    (re.compile(r"refusal_id=\w+"), "refusal_id=…"),
    (re.compile(r"\bin \d+\.\d+s(?: \([\d:]+\))?"), "in … s"),
    (re.compile(r"\b\d+ passed"), "… passed"),
    (re.compile(r"={3,}( .* )={3,}"), r"===\1==="),
)
_NOISE = re.compile(
    r"^(?:WARNING: |make\[|={5,} test session|platform |rootdir: |configfile: |plugins: |asyncio: |collect|created: )"
    r"|^[\w/.]* *[.sxX]+ +\[ *\d+%\]$|^\d+ workers|^bringing up nodes"
)
"""Lines of pip about the machine, and of pytest before its last."""


class NotOnScreenError(Exception):
    """What the next step needs is not on the screen; the text is what is."""


class Command:
    """One command at a pseudo-terminal of its own, in a process group of its own.

    Args:
        line: what is typed, for bash.
        cwd: where.
        environment: all of its variables.
    """

    def __init__(self, line: str, *, cwd: Path, environment: Mapping[str, str]) -> None:
        self.line = line
        self._ours, self._its = pty.openpty()
        self._process = subprocess.Popen(  # noqa: S603 - our own lines
            ["/bin/bash", "-c", line],
            cwd=cwd,
            env=dict(environment),
            stdin=self._its,
            stdout=self._its,
            stderr=self._its,
            start_new_session=True,
        )
        self._read = b""
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    @property
    def screen(self) -> str:
        """All that it has said, without control characters."""
        return plain(self._read)

    def wait_for(self, *words: str, seconds: float = STEP_SECONDS) -> Self:
        """Wait until all these words are on the screen.

        Raises:
            NotOnScreenError: they are not, in that time or when it has ended.
        """
        end = time.monotonic() + seconds
        while missing := [text for text in words if text not in self.screen]:
            if time.monotonic() > end or not self._reader.is_alive():
                raise NotOnScreenError(f"$ {self.line}\n{self.screen}\nmissing: {missing}")
            time.sleep(_POLL)
        return self

    def wait(self, *words: str, code: int = 0, seconds: float = STEP_SECONDS) -> Self:
        """Wait until it has ended with this exit code and these words on the screen.

        Raises:
            NotOnScreenError: it did otherwise.
        """
        try:
            found = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise NotOnScreenError(f"$ {self.line}\n{self.screen}\nit has not ended") from None
        self._reader.join(STEP_SECONDS)
        if found != code:
            raise NotOnScreenError(f"$ {self.line}\n{self.screen}\nexit code {found}")
        return self.wait_for(*words)

    def press_ctrl_c(self) -> None:
        """Do what a terminal does at Ctrl-C, to everything that the line has started; wait until it has ended."""
        os.killpg(self._process.pid, signal.SIGINT)
        self._process.wait(STEP_SECONDS)
        self._reader.join(STEP_SECONDS)

    def close(self) -> None:
        """End whatever is left of it."""
        end_group(self._process)
        self._reader.join(STEP_SECONDS)

    def _listen(self) -> None:
        # The command's end stays open here as well: otherwise a program may end with SIGHUP when bash gives way to it.
        while True:
            if select.select([self._ours], [], [], _POLL)[0]:
                self._read += os.read(self._ours, 65_536)
            elif self._process.poll() is not None:
                break
        os.close(self._its)
        os.close(self._ours)


def settled(text: str, places: Mapping[str, str]) -> str:
    """Return what was on a screen as a page may show it, the same for every run.

    Args:
        text: the screen.
        places: what stands on this machine, and what the page says instead; longer ones go first.
    """
    for place in sorted(places, key=len, reverse=True):
        text = text.replace(place, places[place])
    for pattern, instead in _CHANCE:
        text = pattern.sub(instead, text)
    lines = [line.rstrip() for line in text.splitlines() if not _NOISE.search(line)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
