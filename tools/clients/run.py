"""Run clients that people use against a Gatepost server, without a way out; `make clients` calls this.

    python -m tools.clients.run [--only codex] [--keep FOLDER]

Installs the clients that `package-lock.json` pins, enters a network namespace in which there is loopback alone, and
lets each client log in, list and call tools, refresh, meet a restart and lose its registration. The table is printed
and, when all clients ran, written into `docs/clients.md`. Linux on x86-64, as two of the clients are programs for it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools import npm_packages
from tools.clients import isolation, table
from tools.clients.gatepost_server import ROOT
from tools.clients.programs import PROGRAMS
from tools.clients.scenario import DOCUMENT_STEPS, play
from tools.clients.stage import PACKAGES

HERE = Path(__file__).resolve().parent
PAGE = ROOT / "docs" / "clients.md"
INSTALL_SECONDS = 900
AT_ONCE = 2  # clients mostly wait


def main(arguments: list[str]) -> int:
    """Run the clients; return 1 if one of them could not log in or call, else 0."""
    parser = argparse.ArgumentParser(description="Run MCP clients that people use against a Gatepost server.")
    parser.add_argument("--only", choices=[program.title for program in PROGRAMS], help="one client instead of all")
    parser.add_argument("--keep", type=Path, help="where homes, stores and logs go and stay; else they are removed")
    options = parser.parse_args(arguments)
    npm_packages.install(HERE, PACKAGES, timeout=INSTALL_SECONDS)
    isolated = isolation.enter("tools.clients.run", arguments)
    if not isolated:
        print("No network namespace can be had here: clients may reach what is outside.")
    chosen = [program for program in PROGRAMS if options.only in {None, program.title}]
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(AT_ONCE) as threads:
        folder = (options.keep or Path(temporary)).resolve()
        running = [threads.submit(play, program, folder / program.__name__) for program in chosen]
        reports = [report.result() for report in running]
    text = table.render(reports, table.versions(HERE / "package.json"))
    print(text)
    if isolated and len(reports) == len(PROGRAMS):
        table.write(PAGE, "clients", text)
    needed = (DOCUMENT_STEPS[0], DOCUMENT_STEPS[2], "Log in", "List", "Call")
    return int(any(report.cells.get(step) == "no" for report in reports for step in needed))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
