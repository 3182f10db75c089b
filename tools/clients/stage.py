"""What a client runs with: a home of its own, pinned packages, a browser that is played, the server's address."""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path

from tools.clients import person, terminal
from tools.clients.gatepost_server import ROOT
from tools.npm_packages import NODE

PACKAGES = ROOT / ".venv" / "clients"
MODULES = PACKAGES / "node_modules"
NAME = "demo"
_AUTHORIZATION_URL = re.compile(r"(http://127\.0\.0\.1:\d+/oauth/authorize\?\S+)\s")


@dataclass(frozen=True)
class Seen:
    """What came of a step: whether the client got what it wanted, and the words in which it says so."""

    worked: bool
    words: str


@dataclass
class Stage:
    """One home of one client."""

    url: str
    folder: Path
    visited: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.home.mkdir(parents=True)
        browser = person.install(self.folder / "browser", ROOT)
        path = [self.folder / "browser", NODE.parent, Path("/usr/local/bin"), Path("/usr/bin"), Path("/bin")]
        # No DISPLAY: with one, xdg-open would rather start the machine's real browser than what BROWSER names.
        self.environment = {
            **browser,
            "HOME": str(self.home),
            "PATH": os.pathsep.join(map(str, path)),
            "TERM": "xterm",
            "LANG": "C.UTF-8",
            "MCP_INSPECTOR_SECRET_STORE": "file",  # there is no keyring here
        }

    def run(self, *command: str) -> terminal.Done:
        """Run one command of the client."""
        return terminal.run(list(command), cwd=self.home, environment=self.environment, hears=self.follow)

    def follow(self, said: str) -> None:
        """Open an authorization URL that the client asks for in words, once, unless its browser was opened for it."""
        for url in _AUTHORIZATION_URL.findall(said):
            if url not in self.visited:
                self.visited.add(url)
                threading.Timer(_PATIENCE, self._visit, [url]).start()

    def browser_shows(self) -> str:
        """Return how the last visit of the browser ended; empty without one."""
        log = self.visits
        return log.read_text(encoding="utf-8").splitlines()[-1] if log.exists() else ""

    @property
    def visits(self) -> Path:
        """The browser's log."""
        return Path(self.environment[person.LOG])

    def _visit(self, url: str) -> None:
        if url not in (self.visits.read_text(encoding="utf-8") if self.visits.exists() else ""):
            person.record(self.visits, url, person.visit(url))


_PATIENCE = 5.0  # seconds in which a client that opens browsers has opened one
