"""Run the official MCP conformance suite against our examples; `make conformance` calls this.

    python -m tools.conformance.run [--only 2026-07-28]

For each revision it runs what the revision requires of a server, then everything that applies to it, then the
scenarios for authorization servers (`authorization.py`). Servers are started on free loopback ports and stopped at the
end. There is no file of expected failures, and a warning counts as one; extensions, which are optional, are run with
what is required and do not count. The reports are kept in `test-artifacts/conformance`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools.conformance import authorization
from tools.conformance.suite import PACKAGES, REPORTS, conclude, fresh_report, install, serving
from tools.npm_packages import NODE, node_environment

REVISIONS = ("2025-11-25", "2026-07-28")
SUITE_SECONDS = 900


def main(arguments: list[str]) -> int:
    """Run the suite; return 1 if any part of it failed, else 0."""
    parser = argparse.ArgumentParser(description="Run the official MCP conformance suite.")
    parser.add_argument("--only", choices=REVISIONS, help="one revision instead of all")
    options = parser.parse_args(arguments)
    revisions = [options.only] if options.only else REVISIONS
    suite = install()
    with tempfile.TemporaryDirectory() as folder:
        outcome = {
            **check_server(suite, revisions, Path(folder, "server")),
            **authorization.check(suite, revisions, Path(folder, "authorization")),
        }
    failed = [name for name, passed in outcome.items() if not passed]
    print(f"\nconformance: failed: {', '.join(failed)}" if failed else "\nconformance: everything passed")
    return 1 if failed else 0


def check_server(suite: Path, revisions: Sequence[str], data: Path) -> dict[str, bool]:
    """Run the scenarios for servers, without authorization, which is not what they are about; return what passed."""
    outcome: dict[str, bool] = {}
    open_to_all = {"MCP_REQUIRE_AUTH": "false", "OAUTH_ENABLED": "false"}
    with serving("examples/everything.py:server", data, REPORTS / "server.log", **open_to_all) as origin:
        for revision in revisions:
            parts = {
                f"{revision}-required": ["--requirements", revision],
                f"{revision}-all": ["--suite", "all", "--spec-version", revision],
            }
            for name, selection in parts.items():
                outcome[name] = run(suite, name, ["server", "--url", f"{origin}/mcp", *selection])
    return outcome


def run(suite: Path, name: str, arguments: list[str]) -> bool:
    """Run one part of the suite and print how it ended; return whether it passed."""
    report = fresh_report(name)
    command = [str(NODE), str(suite), *arguments, "--output-dir", str(report)]
    done = subprocess.run(  # noqa: S603 - what runs is pinned by its hash
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
    warned = [f"warning: {warning}" for warning in warnings(report)]
    return conclude(name, done.stdout, exit_code=done.returncode, problems=warned)


def warnings(report: Path) -> Iterator[str]:
    """Yield a line for each check that ended with a warning, of every scenario that is no extension."""
    for file in sorted(report.glob("*/checks.json")):
        if not file.parent.name.startswith("server-tasks-"):
            for check in json.loads(file.read_bytes()):
                if check["status"] == "WARNING":
                    yield f"{check['id']}: {check.get('errorMessage', '')}"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
