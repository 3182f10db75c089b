"""The suite's scenarios for extensions, each against a server that uses the extension. All of them count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tools.conformance.suite import OPEN_TO_ALL, REPORTS, check_server, conclude, running

SCENARIOS: Final[Mapping[str, Sequence[str]]] = {
    "tools/conformance/task_server.py:server": (
        "tasks-lifecycle",
        "tasks-capability-negotiation",
        "tasks-wire-fields",
        "tasks-request-state-removal",
        "tasks-mrtr-input",
        "tasks-request-headers",
        "tasks-dispatch-and-envelope",
        # Skipped by the suite itself, whose harness does not know the stream yet.
        "tasks-status-notifications",
        "tasks-required-task-error",
        "tasks-mrtr-composition",
    ),
}
"""By the server, the scenarios."""


def check(suite: Path, data: Path) -> dict[str, bool]:
    """Run the scenarios; return what passed."""
    outcome: dict[str, bool] = {}
    for number, (server, scenarios) in enumerate(SCENARIOS.items()):
        with running(
            ["serve", server], data / str(number), REPORTS / f"extension-{number}.log", **OPEN_TO_ALL
        ) as origin:
            for scenario in scenarios:
                done = check_server(suite, scenario, f"{origin}/mcp", ["--scenario", scenario])
                outcome[scenario] = conclude(scenario, done.stdout, exit_code=done.returncode, problems=[])
    return outcome
