"""What every client goes through, in order."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path

from tools.clients.gatepost_server import GatepostServer
from tools.clients.programs import Program
from tools.clients.stage import Seen, Stage
from tools.clients.way_out import WayOut

TARGET = "tools/clients/target.py:server"
ACCESS_TOKEN_SECONDS = 4
NOTICED_SECONDS = 6  # a running server notices within five what a command changed
DOCUMENT_STEPS = ("Document by a proxy", "Document out of reach", "Then, once noticed")
STEPS = (*DOCUMENT_STEPS, "Log in", "List", "Call", "Refresh", "Restart", "Registration removed", "Cure")
_WORDS = 160
_FAILURES = 5  # after so many a server without a way out says that documents are not supported


@dataclass
class Report:
    """The cells of one client's row, by step, and what it said where it did not work."""

    program: type[Program]
    cells: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def note(self, step: str, seen: Seen, *, cell: str = "yes") -> bool:
        """Fill a cell in; return whether the step worked."""
        self.cells[step] = cell if seen.worked else "no"
        if not seen.worked:
            self.notes[step] = _short(seen.words)
        return seen.worked


def play(program: type[Program], folder: Path) -> Report:
    """Let one client go through all steps with a server of its own; what it starts is ended."""
    settings = {
        "OAUTH_ACCESS_TOKEN_TTL": str(ACCESS_TOKEN_SECONDS),
        "OAUTH_CONSENT_DAYS": "0",  # everybody is asked every time, so the person always finds the same pages
        **dict.fromkeys(("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"), ""),
    }
    server = GatepostServer(TARGET, folder / "data", settings)
    report = Report(program)
    server.data.mkdir(parents=True, mode=0o700)
    server.add_owner()
    try:
        _by_document(report, folder, server)
        server.start(OAUTH_CIMD_ENABLED="false")
        client = program(Stage(server.url, folder / "registering"))
        try:
            _registered(report, client, server)
        finally:
            client.close()
    finally:
        server.stop()
    return report


def _by_document(report: Report, folder: Path, server: GatepostServer) -> None:
    """Log in where the server fetches documents through a proxy, where it cannot, and where it has noticed that."""
    by_proxy, out_of_reach, withdrawn = (Stage(server.url, folder / step) for step in ("proxy", "alone", "withdrawn"))
    hosts = [report.program.document_host or "localhost"]
    with WayOut(folder / "way-out", hosts, by_proxy.visits) as way_out:
        server.start(**way_out.settings)
        _log_in_by_document(report, DOCUMENT_STEPS[0], by_proxy, server)
        server.stop()
    server.start()
    _log_in_by_document(report, DOCUMENT_STEPS[1], out_of_reach, server)
    for number in range(_FAILURES):
        server.ask_for_document(f"https://client-{number}.example/client.json")
    _log_in_by_document(report, DOCUMENT_STEPS[2], withdrawn, server)
    server.stop()


def _log_in_by_document(report: Report, step: str, stage: Stage, server: GatepostServer) -> None:
    before = _count(server, "registration")
    client = report.program(stage)
    try:
        seen = client.log_in()
    finally:
        client.close()
    shown = stage.browser_shows()
    if not seen.worked and shown.startswith("stopped"):
        seen = Seen(worked=False, words=f"the browser {shown}; the client waits for its redirect URI")
    if report.note(step, seen) and _count(server, "registration") > before:
        report.cells[step] = "registers instead"


def _registered(report: Report, client: Program, server: GatepostServer) -> None:
    if not report.note("Log in", client.log_in()):
        return
    report.note("List", client.list_tools())
    called = client.call_tool()
    if client.without_a_model:
        report.cells["Call"] = client.without_a_model
    else:
        report.note("Call", called)
    before = _count(server, "refresh")
    time.sleep(ACCESS_TOKEN_SECONDS + 1)
    if report.note("Refresh", client.call_tool()) and _count(server, "refresh") == before:
        report.cells["Refresh"] = "did not refresh"
    server.stop()
    server.start(OAUTH_CIMD_ENABLED="false")
    report.note("Restart", client.call_tool())
    _removed(report, client, server)


def _removed(report: Report, client: Program, server: GatepostServer) -> None:
    """Remove the registration while the client thinks it has one."""
    redeemed = [event for event in server.events() if event["event"] == "code_redemption"]
    server.command("clients", "remove", redeemed[-1]["client_id"])
    time.sleep(NOTICED_SECONDS)
    well = report.note("Registration removed", client.call_tool(), cell="registers and logs in by itself")
    report.note("Cure", client.recover(), cell="not needed; works" if well else "yes")


def _count(server: GatepostServer, name: str) -> int:
    return sum(event["event"] == name and event["outcome"] == "ok" for event in server.events())


def _short(words: str) -> str:
    """One line without ports, ids and what would break a table."""
    for pattern, instead in ((r"127\.0\.0\.1:\d+", "HOST"), (r"\bclient_[\w-]{22}", "CLIENT"), (r"[|`*\s]+", " ")):
        words = re.sub(pattern, instead, words)
    return words[:_WORDS].strip()
