"""A `gatepost serve` on loopback that is stopped and started again on the same port, and what its audit trail says."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.clients.person import PASSWORD, USERNAME
from tools.conformance.suite import free_port

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60


@dataclass
class GatepostServer:
    """One store, one port; the process behind them changes."""

    target: str
    data: Path
    settings: Mapping[str, str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The MCP endpoint."""
        return f"http://127.0.0.1:{self.port}/mcp"

    def add_owner(self) -> None:
        """Create the account that the scripted person logs in to."""
        self.command("users", "add", USERNAME, "--password-stdin", given=PASSWORD)

    def start(self, **settings: str) -> None:
        """Start a process and wait until it answers.

        Raises:
            RuntimeError: It does not answer in time.
        """
        arguments = ["serve", self.target, "--port", str(self.port)]
        with (self.data.parent / "server.log").open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603 - our own server
                [sys.executable, "-m", "gatepost", *arguments],
                cwd=ROOT,
                env=self._environment(settings),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        for _ in range(START_SECONDS * 10):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=1):
                    return
            except urllib.error.HTTPError:
                return  # whatever it answers, it answers: behind a proxy another Host is the right one
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise RuntimeError("the server does not answer")

    def ask_for_document(self, client_id: str) -> None:
        """Have the process fetch the document of a client that there need not be."""
        query = urllib.parse.urlencode({"client_id": client_id, "response_type": "code"})
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/oauth/authorize?{query}", timeout=START_SECONDS
            ).close()

    def stop(self) -> None:
        """End the process, patiently."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def command(self, *arguments: str, given: str | None = None) -> str:
        """Run another `gatepost` command on the same store; return what it printed."""
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "gatepost", *arguments],
            cwd=ROOT,
            env=self._environment({}),
            input=given,
            capture_output=True,
            text=True,
            check=True,
            timeout=START_SECONDS,
        )
        return done.stdout

    def events(self) -> list[dict[str, Any]]:
        """Return the audit trail, oldest first, after the second that it may be behind."""
        time.sleep(1.5)
        lines = self.command("audit", "--limit", "0", "--json").splitlines()
        return [json.loads(line) for line in reversed(lines)]

    def _environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        return {**os.environ, "OAUTH_STORAGE_DIR": str(self.data), **self.settings, **settings}
