"""Server processes: started on their own core, known by their id, stopped by it."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from benchmarks.machine import SERVER_CORE, has_two_cores

_START_SECONDS: Final = 30
_STOP_SECONDS: Final = 5
_SHOWN_LINES: Final = 3
_PORTS: Final = range(10_240, 32_768)
"""Below those that Linux gives to connections (`ip_local_port_range`)."""
_PRINTED_BYTES: Final = 1 << 20
_POLL_SECONDS: Final = 0.002
_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
"""Of our environment. Nobody's settings reach a server: a stray MCP_API_KEY would change what is measured."""


def descendants(pid: int) -> list[int]:
    """Return the ids of the processes that a process has started, and of what these have."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            # It has ended meanwhile.
            continue
        parents.setdefault(parent, []).append(int(stat.parent.name))
    found: list[int] = []
    todo = [pid]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


class ServerFailed(Exception):
    """A server ended, or did not begin to listen; the message holds the end of what it printed."""


def free_port() -> int:
    """Return a loopback port that nobody listens on.

    It is none of those that the system gives to connections, so it stays free until its server listens.
    """
    while True:
        port = random.choice(_PORTS)  # noqa: S311 - any will do
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _is_taken(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class ServerProcess:
    """One running server on loopback; a context manager that stops it."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        port: int,
        environment: Mapping[str, str],
        cwd: Path,
        is_alone: bool = True,
        is_pinned: bool = True,
    ) -> None:
        """Start it.

        Args:
            command: what to run.
            port: where it will listen.
            environment: added to the little of ours that it gets.
            cwd: where it runs.
            is_alone: whether the port has to be free; replicas share one.
            is_pinned: whether it gets a core of its own where there are two.
        """
        self.port = port
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        if is_alone and _is_taken(port):
            raise ServerFailed(f"port {port} is taken; what was measured would be somebody else's server")
        pinned = (
            ["taskset", "--cpu-list", str(SERVER_CORE), *command] if is_pinned and has_two_cores() else list(command)
        )
        self.started_at = time.perf_counter()
        # Both become the command itself, so the id stays. setpriv: no server outlives us, however we end.
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *pinned],
            stdout=self._log,
            stderr=self._log,
            env={**kept, **environment},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def wait_until_listening(self) -> None:
        """Return as soon as a connection is accepted.

        Raises:
            ServerFailed: it ended, or took too long.
        """
        deadline = time.perf_counter() + _START_SECONDS
        while time.perf_counter() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if self._process.poll() is not None:
                    raise ServerFailed(f"ended with code {self._process.returncode}: {self.printed()}") from None
                time.sleep(_POLL_SECONDS)
            else:
                return
        raise ServerFailed(f"did not listen within {_START_SECONDS} s: {self.printed()}")

    def wait_until_printed(self, text: str) -> None:
        """Return as soon as it has printed `text`.

        Raises:
            ServerFailed: it ended, or took too long.
        """
        deadline = time.perf_counter() + _START_SECONDS
        while text not in self._all_printed():
            if self._process.poll() is not None or time.perf_counter() > deadline:
                raise ServerFailed(f"has not said {text!r}: {self.printed()}")
            time.sleep(_POLL_SECONDS)

    def printed(self) -> str:
        """Return the last lines of what it printed, as one."""
        lines = self._all_printed().split("\n")
        return " / ".join([line.strip() for line in lines if line.strip()][-_SHOWN_LINES:])

    def _all_printed(self) -> str:
        # Read without moving the position, which is where the process writes.
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")

    def stop(self) -> None:
        """Ask it to end, and end it when it does not."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(_STOP_SECONDS)
        self._log.close()
