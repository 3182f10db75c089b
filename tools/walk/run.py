"""Walk the README in a fresh clone, as a newcomer, and see that each answer is on the screen; `make walk` calls this.

    python -m tools.walk.run [--whole] [--keep FOLDER]

Clones what is committed, serves, creates the account, connects the official Python client, runs tests beside the
server, backs up, stops, restores elsewhere and goes public behind nginx with TLS by an authority made for it. Every
step types what the README or the screen said, and stops with the screen if what the next one needs is not on it. What
was on the screen, without secrets, becomes `docs/walk.md`. It needs Linux or macOS, git, bash and nginx.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.clients import table
from tools.clients.gatepost_server import ROOT
from tools.conformance.suite import free_port
from tools.walk.front import NGINX
from tools.walk.pages import Page, without_ours
from tools.walk.screen import NotOnScreenError
from tools.walk.steps import README_PORT, Walk, places_of, walk

PAGE = ROOT / "docs" / "walk.md"
SOME_TESTS = 'make test ARGS="tests/oauth"'


def main(arguments: list[str]) -> int:
    """Walk; return 1 if a step did not find what it needs, else 0."""
    parser = argparse.ArgumentParser(description="Walk the README as a newcomer.")
    parser.add_argument("--whole", action="store_true", help="run all the tests beside the server, not some")
    parser.add_argument("--keep", type=Path, help="an empty folder for clone, stores and logs; else they are removed")
    options = parser.parse_args(arguments)
    if not NGINX.found():
        print("nginx is not installed.")
        return 1
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        person = prepare(folder, tests="make test" if options.whole else SOME_TESTS)
        try:
            walk(person, folder)
        except NotOnScreenError as missing:
            print(missing)
            return 1
    text = person.page.render()
    print(text)
    table.write(PAGE, "walk", text)
    return 0


def prepare(folder: Path, *, tests: str) -> Walk:
    """Clone, and make the home of somebody who has set nothing."""
    home, port = folder / "you", README_PORT if is_free(README_PORT) else free_port()
    home.mkdir()
    # With the clone's own branch: what is not committed is not walked.
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(home / "gatepost")], check=True, timeout=120)  # noqa: S603, S607 - git
    config, cache = Path("~/.config").expanduser(), Path("~/.cache").expanduser()  # where a package mirror is set
    machine = {"XDG_CONFIG_HOME": str(config), "XDG_CACHE_HOME": str(cache), **without_ours(os.environ)}
    environment = {**machine, "HOME": str(home), "TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "100"}
    return Walk(
        checkout=home / "gatepost",
        home=home,
        environment=environment,
        port=port,
        tests=tests,
        page=Page(dict(places_of(home, port))),
    )


def is_free(port: int) -> bool:
    """Say whether nobody listens there."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
