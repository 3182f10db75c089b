"""Run the official MCP conformance suite against our examples; `make conformance` calls this.

    python -m tools.conformance.run [--only 2026-07-28]

For each revision it runs what the revision requires of a server, then everything that applies to it, that again through
a front (`through_front.py`), then the scenarios for authorization servers (`authorization.py`). Servers are started on
free loopback ports and stopped at the end. Of the direct run no failure is expected, and a warning counts as one.
Extensions are optional: their scenarios are run with what is required and do not count there; those that count are run
by themselves, some against a server of their own (`extensions.py`). The reports are kept in
`test-artifacts/conformance`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools.conformance import authorization, extensions, through_front
from tools.conformance.suite import OPEN_TO_ALL, REPORTS, check_server, conclude, install, running
from tools.conformance.through_front import SERVER

REVISIONS = ("2025-11-25", "2026-07-28")
EXTENSIONS = ("sep-2640-skills-enumeration", "sep-2640-skills-manifest", "sep-2640-skills-directory")
"""The scenarios of extensions that count; a revision requires none of them."""


def main(arguments: list[str]) -> int:
    """Run the suite; return 1 if any part of it failed, else 0."""
    parser = argparse.ArgumentParser(description="Run the official MCP conformance suite.")
    parser.add_argument("--only", choices=REVISIONS, help="one revision instead of all")
    options = parser.parse_args(arguments)
    revisions = [options.only] if options.only else REVISIONS
    suite = install()
    with tempfile.TemporaryDirectory() as folder:
        outcome = {
            **check_directly(suite, revisions, Path(folder, "server")),
            **through_front.check(suite, revisions, Path(folder, "front")),
            **(extensions.check(suite, Path(folder, "extensions")) if REVISIONS[-1] in revisions else {}),
            **authorization.check(suite, revisions, Path(folder, "authorization")),
        }
    failed = [name for name, passed in outcome.items() if not passed]
    print(f"\nconformance: failed: {', '.join(failed)}" if failed else "\nconformance: everything passed")
    return 1 if failed else 0


def check_directly(suite: Path, revisions: Sequence[str], data: Path) -> dict[str, bool]:
    """Run the scenarios for servers; return what passed."""
    outcome: dict[str, bool] = {}
    with running(["serve", SERVER], data, REPORTS / "server.log", **OPEN_TO_ALL) as origin:
        for revision in revisions:
            parts = {
                f"{revision}-required": ["--requirements", revision],
                f"{revision}-all": ["--suite", "all", "--spec-version", revision],
                **{
                    f"{revision}-{scenario}": ["--scenario", scenario, "--spec-version", revision, "--force"]
                    for scenario in EXTENSIONS
                },
            }
            for name, selection in parts.items():
                done = check_server(suite, name, f"{origin}/mcp", selection)
                warned = [f"warning: {warning}" for warning in warnings(REPORTS / name)]
                outcome[name] = conclude(name, done.stdout, exit_code=done.returncode, problems=warned)
    return outcome


def warnings(report: Path) -> Iterator[str]:
    """Yield a line for each check that ended with a warning, of every scenario that is no extension."""
    for file in sorted(report.glob("*/checks.json")):
        if not file.parent.name.startswith("server-tasks-"):
            for check in json.loads(file.read_bytes()):
                if check["status"] == "WARNING":
                    yield f"{check['id']}: {check.get('errorMessage', '')}"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
