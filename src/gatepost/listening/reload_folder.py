"""What the processes of a server that is reloaded tell each other: files in a folder of one start, for its user alone.

The parent writes the status, and every process that serves shows it on the page. A process that is to serve leaves a
report before it serves, or ends without.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import MutableMapping
from dataclasses import asdict, field
from pathlib import Path
from typing import Any, Final, Literal

from gatepost.late_dataclass import dataclass

RELOAD_VARIABLE: Final = "GATEPOST_RELOAD"
"""The environment variable by which a process knows that it is one of a server that is reloaded."""
_KEY: Final = "key"
_STATUS: Final = "status.json"


@dataclass(frozen=True, slots=True)
class LoadFailure:
    """Why code could not be served."""

    summary: str
    """One sentence."""
    traceback: str = ""
    """Of the author's code, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadStatus:
    """How the server is."""

    state: Literal["loading", "serving", "failed"]
    generation: int
    """How often code was loaded and served; 0 while none is."""
    changed: list[str] = field(default_factory=list)
    """The files whose change led here."""
    failure: LoadFailure | None = None
    """Why the newest code is not served; what was served before still is, if anything was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What a process says of the code it was to serve."""

    paths: list[str] = field(default_factory=list)
    """The folders of what was loaded, and files beside, for the watch."""
    failure: LoadFailure | None = None


@dataclass(frozen=True, slots=True)
class ReloadFolder:
    """The folder."""

    path: Path

    @classmethod
    def make(cls, path: Path) -> ReloadFolder:
        """Return a new one in an empty folder that its user alone may enter; with a key of this start."""
        file = os.open(path / _KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w", encoding="ascii") as stream:
            stream.write(secrets.token_urlsafe(32))
        return cls(path)

    @property
    def key(self) -> str:
        """The secret of this start."""
        return (self.path / _KEY).read_text(encoding="ascii")

    def write_status(self, status: ReloadStatus) -> None:
        """Keep the status; who reads meanwhile reads the one before."""
        self._write(_STATUS, asdict(status))

    def status(self) -> dict[str, Any]:
        """Return the status as JSON has it; empty before there is one, and after the end of the parent."""
        return self._read(_STATUS) or {}

    def write_report(self, number: int, report: LoadReport) -> None:
        """Keep what the process of a number says."""
        self._write(f"report-{number}.json", asdict(report))

    def take_report(self, number: int) -> LoadReport | None:
        """Return what the process of a number said, and forget it; None where it said nothing."""
        found = self._read(f"report-{number}.json")
        if found is None:
            return None
        (self.path / f"report-{number}.json").unlink(missing_ok=True)
        failure = found["failure"]
        return LoadReport(paths=found["paths"], failure=failure and LoadFailure(**failure))

    def _write(self, name: str, content: dict[str, Any]) -> None:
        new = self.path / f".{name}.{os.getpid()}"
        new.write_text(json.dumps(content), encoding="utf-8")
        new.replace(self.path / name)

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadedProcess:
    """What a process is given."""

    folder: str
    number: int
    shows_failure: bool
    """Whether it loads nothing, and shows why nothing is served."""

    def as_text(self) -> str:
        """Return the value of the environment variable."""
        return json.dumps(asdict(self))


def this_process(environment: MutableMapping[str, str]) -> ReloadedProcess | None:
    """Return this process as one of a server that is reloaded; None where it is none.

    The variable is removed, so that no child takes it for its own.
    """
    text = environment.pop(RELOAD_VARIABLE, None)
    return None if text is None else ReloadedProcess(**json.loads(text))
