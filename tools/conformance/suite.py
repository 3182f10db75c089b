"""The official conformance suite as a program, the servers that it is pointed at, and how a part of it is reported.

The suite is a program for Node. `package-lock.json` beside this file pins each of its packages by its hash.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools import npm_packages
from tools.npm_packages import NODE, node_environment

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
REPORTS = ROOT / "test-artifacts" / "conformance"
PACKAGES = ROOT / ".venv" / "conformance"

START_SECONDS = 180
INSTALL_SECONDS = 900
SUITE_SECONDS = 900
OPEN_TO_ALL = {"MCP_REQUIRE_AUTH": "false", "OAUTH_ENABLED": "false"}
"""Without authorization, which the scenarios for servers are not about."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def install() -> Path:
    """Install what `package-lock.json` pins, unless it is there; return the suite's program."""
    npm_packages.install(HERE, PACKAGES, timeout=INSTALL_SECONDS)
    return PACKAGES / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"


def fresh_report(name: str) -> Path:
    """Return the folder for the suite's reports on a part, without those of an earlier run."""
    report = REPORTS / name
    shutil.rmtree(report, ignore_errors=True)
    return report


def conclude(name: str, output: str, *, exit_code: int, problems: list[str]) -> bool:
    """Keep what the suite printed, print how the part ended; return whether it passed."""
    text = _COLOURS.sub("", output)
    (REPORTS / f"{name}.txt").write_text(text, encoding="utf-8")
    begin = text.rfind("=== SUMMARY")
    passed = exit_code == 0 and not problems
    print(f"\n== {name}: {'passed' if passed else 'FAILED'}")
    print(text[begin:].strip() if begin >= 0 else "\n".join(text.splitlines()[-20:]))
    for problem in problems:
        print(problem)
    return passed


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def check_server(suite: Path, name: str, url: str, selection: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run scenarios for servers against an MCP endpoint; their reports go to the folder of this name."""
    command = [str(NODE), str(suite), "server", "--url", url, *selection, "--output-dir", str(fresh_report(name))]
    return subprocess.run(  # noqa: S603 - what runs is pinned by its hash
        command,
        cwd=PACKAGES,
        env=node_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=SUITE_SECONDS,
    )


@contextmanager
def running(arguments: Sequence[str], data: Path, log: Path, **environment: str) -> Iterator[str]:
    """Run `gatepost` with these arguments while the block runs; give its origin. What it prints goes to `log`."""
    origin = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "gatepost", *arguments]
    variables: Mapping[str, str] = {
        **os.environ,
        "OAUTH_STORAGE_DIR": str(data),
        "MCP_PORT": origin.rpartition(":")[2],
        **environment,
    }
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=output, stderr=output)  # noqa: S603 - our own server
        try:
            _wait_for(f"{origin}/health", server, log)
            yield origin
        finally:
            server.terminate()
            try:
                server.wait(timeout=START_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Return once the server answers.

    Raises:
        RuntimeError: It ended, or does not answer in time.
    """
    for _ in range(START_SECONDS * 10):
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - the address made above
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the server does not answer; see {log.relative_to(ROOT)}")
