"""The browser of the clients, and somebody at it: `xdg-open`, `BROWSER` and the like lead here.

    python -m tools.clients.person URL

Logs in and approves. What became of it is added to the file that `CLIENTS_BROWSER_LOG` names.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import httpx2

from tools.conformance.browser import UnexpectedPageError, log_in_and_approve

USERNAME, PASSWORD = "owner", "correct horse battery staple"
LOG = "CLIENTS_BROWSER_LOG"
NAMES = ("xdg-open", "x-www-browser", "sensible-browser", "www-browser", "open", "gio")


def visit(url: str) -> str:
    """Open an authorization URL, log in and approve; return what was seen at the end."""
    try:
        return f"approved, then {log_in_and_approve(url, username=USERNAME, password=PASSWORD)}"
    except (UnexpectedPageError, httpx2.HTTPError) as error:
        return f"stopped: {error}"


def install(folder: Path, root: Path) -> dict[str, str]:
    """Write programs that play the browser; return the variables that make clients use them, but for `PATH`."""
    folder.mkdir(parents=True)
    script = f'#!/bin/sh\ncd "{root}" && exec "{sys.executable}" -m tools.clients.person "$@" >/dev/null 2>&1\n'
    for name in NAMES:
        (folder / name).write_text(script, encoding="utf-8")
        (folder / name).chmod(0o700)
    return {"BROWSER": str(folder / NAMES[0]), LOG: str(folder / "visits.log")}


def main(arguments: list[str]) -> int:
    """Visit the last argument, which is the URL whatever the program is called with."""
    log = Path(os.environ[LOG])
    record(log, arguments[-1], "")
    record(log, "", visit(arguments[-1]))
    return 0


def record(log: Path, url: str, seen: str) -> None:
    """Add to the log that a URL was opened, or what was seen at the end, or both."""
    with log.open("a", encoding="utf-8") as lines:
        lines.writelines(f"{line}\n" for line in (url, seen) if line)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
