"""The suite's scenarios for servers once more, with `gatepost front` in between: what differs from the direct run.

The same example runs on standard input and output behind a front. Each check has to end as it did in the direct run,
except for those that `DIFFERENCES` lists; one that is listed and ends alike fails the run, too, so that the list stays
true. docs/front.md has the reasons.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx2

from tools.conformance.suite import OPEN_TO_ALL, REPORTS, check_server, conclude, running

SERVER = "examples/everything.py:server"
Statuses = Mapping[tuple[str, str], frozenset[str]]
"""How the checks of a run ended, by scenario and check."""

DIFFERENCES: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "2025-11-25": {
        # On standard output there is no stream that the server could close.
        "server-server-sse-polling": frozenset(
            {"server-sse-priming-event", "server-sse-retry-field", "server-sse-disconnect-resume"}
        ),
    },
    "2026-07-28": {
        # In the handshake questions have ids and no keys, so the front makes up the keys.
        "server-input-required-result-basic-elicitation": frozenset(
            {"sep-2322-elicitation-incomplete", "sep-2322-elicitation-complete"}
        ),
        "server-input-required-result-ignore-extra-params": frozenset({"sep-2322-ignore-unexpected-params"}),
    },
}
"""The checks that end otherwise behind a front, by revision and scenario."""

_TIME: Final = re.compile(r"-\d{4}-\d\d-\d\dT[-\d]+Z$")
_NEUTRAL: Final = frozenset({"INFO"})


def check(suite: Path, revisions: Sequence[str], data: Path) -> dict[str, bool]:
    """Run all scenarios for each revision through a front; return which is as the direct run, which came before."""
    outcome: dict[str, bool] = {}
    behind = [sys.executable, "-m", "gatepost", "stdio", SERVER]
    passed_on = ["--env", "PYTHONPATH"] if "PYTHONPATH" in os.environ else []
    with running(["front", *passed_on, "--", *behind], data, REPORTS / "front.log", **OPEN_TO_ALL) as origin:
        for revision in revisions:
            _warm_up(origin)
            name = f"{revision}-front"
            selection = ["--suite", "all", "--spec-version", revision]
            text = check_server(suite, name, f"{origin}/mcp", selection).stdout
            found = differences(statuses(REPORTS / f"{revision}-all"), statuses(REPORTS / name))
            problems = list(unexpected(found, DIFFERENCES[revision]))
            # The suite's exit code tells of listed differences, too.
            outcome[name] = conclude(name, text, exit_code=0, problems=problems)
    return outcome


def _warm_up(origin: str) -> None:
    """Have the front start a process for clients that answer what the suite's do.

    A server in Python starts in a second or more, and the suite waits for one answer for 0.6 seconds.
    """
    capabilities: dict[str, Any] = {"elicitation": {}}
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "warm-up", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    headers = {"Accept": "application/json, text/event-stream"}
    headers |= {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list"}
    answer = httpx2.post(f"{origin}/mcp", json=message, headers=headers, trust_env=False, timeout=60)
    answer.raise_for_status()


def statuses(report: Path) -> Statuses:
    """Read how the checks of a run ended, without what only tells something."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for file in sorted(report.glob("*/checks.json")):
        scenario = _TIME.sub("", file.parent.name)
        for one in json.loads(file.read_bytes()):
            if one["status"] not in _NEUTRAL:
                key = (scenario, one["id"])
                found[key] = found.get(key, frozenset()) | {one["status"]}
    return found


def differences(direct: Statuses, through: Statuses) -> dict[tuple[str, str], str]:
    """Return the checks that ended otherwise, each with how."""
    return {
        key: f"{_words(direct.get(key))}, through a front {_words(through.get(key))}"
        for key in sorted(direct.keys() | through.keys())
        if direct.get(key) != through.get(key)
    }


def unexpected(found: Mapping[tuple[str, str], str], listed: Mapping[str, frozenset[str]]) -> Iterator[str]:
    """Yield a line for each difference that is not listed, and for each listed one that there is not."""
    for (scenario, check_id), how in found.items():
        if check_id not in listed.get(scenario, ()):
            yield f"{scenario}: {check_id}: {how}"
    for scenario, check_ids in listed.items():
        for check_id in sorted(check_ids):
            if (scenario, check_id) not in found:
                yield f"{scenario}: {check_id}: listed as a difference, and ends as in the direct run"


def _words(statuses_: frozenset[str] | None) -> str:
    return " and ".join(sorted(statuses_)).lower() if statuses_ else "absent"
