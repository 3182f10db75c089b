"""A real `gatepost serve` in a process of its own, on a free loopback port, stopped by its id."""

from __future__ import annotations

import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Self

REPOSITORY = Path(__file__).parents[2]
PASSWORD = "correct horse battery staple"
_STARTED = re.compile(r"^\s*MCP URL\s+(\S+)$", re.MULTILINE)
_LINK = re.compile(r"^\s*Set up\s+(\S+)$", re.MULTILINE)
_PORTS = range(10_240, 32_768)  # below the ephemeral ports of Linux and macOS
_looked_at = itertools.count(os.getpid() * 499)
_DEADLINE = 180.0  # seconds; only ever reached when something is broken


def free_port() -> int:
    """Return a loopback port that nobody listens on now.

    It is none of those that the system gives to connections, so it stays free until the server listens, and between a
    death and the next start. Processes that ask at the same time begin to look at different places.
    """
    while True:
        port = _PORTS[next(_looked_at) % len(_PORTS)]
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port


def _measures(variable: str) -> bool:
    return variable.startswith("COVERAGE_")


class RunningServer:
    """One run of `gatepost serve TARGET`, of `gatepost front`, or of a module that serves by itself."""

    def __init__(
        self,
        target: str,
        data: Path,
        *options: str,
        port: int | None = None,
        cwd: Path = REPOSITORY,
        environment: Mapping[str, str] | None = None,
        is_measured: bool = True,
        module: str | None = None,
        behind: Sequence[str] = (),
        config: Path | None = None,
        python: Path = Path(sys.executable),
    ) -> None:
        self.port = port or free_port()
        self.data = data
        self._target, self._given = target, dict(environment or {})
        self.origin = f"http://127.0.0.1:{self.port}"
        self.mcp_url = f"{self.origin}/mcp"
        self.output = ""
        serve = ["gatepost", "serve", *([target] if target else []), "--port", str(self.port), *options]
        if behind:
            serve = ["gatepost", "front", "--port", str(self.port), *options, "--", *behind]
        elif config is not None:
            serve = ["gatepost", "front", "--port", str(self.port), *options, "--config", str(config)]
        self._arguments = [str(python), "-m", *(serve if module is None else [module])]
        self._cwd = cwd
        # To measure what is covered doubles what a start takes. A process that is killed keeps no record of it, and of
        # many that serve the same, one says all: what requests reach is measured where tests make them in one process.
        inherited = {name: value for name, value in os.environ.items() if is_measured or not _measures(name)}
        self._environment = {
            **inherited,
            "OAUTH_STORAGE_DIR": str(data),
            "MCP_PORT": str(self.port),
            **(environment or {}),
        }
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._says_started = threading.Event()

    def beside(self, **environment: str) -> RunningServer:
        """Return another server over the same store, not started, with further settings."""
        return RunningServer(self._target, self.data, environment={**self._given, **environment})

    @property
    def setup_link(self) -> str | None:
        """The link of the banner, if it printed one."""
        found = _LINK.search(self.output)
        return found[1] if found else None

    def start(self) -> Self:
        """Start it and wait until it says so. AssertionError with its output when it ends instead."""
        self.output = ""
        self._says_started.clear()
        self._process = subprocess.Popen(
            self._arguments,
            cwd=self._cwd,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        assert self._says_started.wait(_DEADLINE), f"the server did not start:\n{self.output}"
        assert _STARTED.search(self.output), f"the server ended at its start:\n{self.output}"
        return self

    def send(self, which: signal.Signals) -> None:
        """Send the process a signal, and wait for nothing; it has to run."""
        assert self._process is not None
        self._process.send_signal(which)

    def kill(self) -> None:
        """End it as a power cut would: SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to end and return its exit code."""
        return self._end(signal.SIGTERM)

    def interrupt(self) -> int:
        """Press Ctrl-C and return its exit code."""
        return self._end(signal.SIGINT)

    def _end(self, which: signal.Signals) -> int:
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.send_signal(which)
        code = process.wait(_DEADLINE)
        if self._reader is not None:
            self._reader.join(_DEADLINE)
        return code

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self.output += line
                if "Docs" in line:  # the banner's last row that is always there
                    self._says_started.set()
        self._says_started.set()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
