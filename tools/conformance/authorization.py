"""The conformance suite's scenarios for authorization servers, against the one that is built in.

The suite prints an authorization URL, waits until a browser has been there and come back to it with a code, and redeems
the code. Here a script is the browser, and logs in and approves by the forms of the pages. The suite itself calls a run
passed in which a scenario was skipped; we do not.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import httpx2

from tools.conformance.browser import UnexpectedPageError, log_in_and_approve
from tools.conformance.suite import (
    PACKAGES,
    REPORTS,
    ROOT,
    conclude,
    free_port,
    fresh_report,
    running,
)
from tools.npm_packages import NODE, node_environment

SCENARIOS = ("authorization-server-metadata-endpoint", "authorization-code-grant")
USERNAME = "owner"
DEADLINE = 120.0  # seconds for one revision; the suite alone would wait for the browser for five minutes


def check(suite: Path, revisions: Sequence[str], data: Path) -> dict[str, bool]:
    """Run the scenarios for each revision; return which part passed."""
    password = secrets.token_urlsafe()
    add_user(data, password)
    approve = partial(log_in_and_approve, username=USERNAME, password=password)
    with running(["serve", "examples/notes.py:server"], data, REPORTS / "authorization-server.log") as origin:
        return {f"{revision}-authorization": run(suite, revision, origin, approve) for revision in revisions}


def add_user(data: Path, password: str) -> None:
    """Create the account that logs in."""
    subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "gatepost", "users", "add", USERNAME, "--password-stdin"],
        cwd=ROOT,
        env={**os.environ, "OAUTH_STORAGE_DIR": str(data)},
        input=password,
        stdout=subprocess.DEVNULL,
        text=True,
        check=True,
    )


def run(suite: Path, revision: str, origin: str, approve: Callable[[str], str]) -> bool:
    """Register a client, run the scenarios as that client, and print how they ended; return whether they passed."""
    name = f"{revision}-authorization"
    report = fresh_report(name)
    port = free_port()
    client_id = register(origin, f"http://127.0.0.1:{port}/callback")
    command = [str(NODE), str(suite), "authorization", "--url", origin, "--resource", f"{origin}/mcp"]
    command += ["--client-id", client_id, "--port", str(port)]
    command += ["--spec-version", revision, "--output-dir", str(report)]
    output, exit_code = converse(command, origin, approve)
    return conclude(name, output, exit_code=exit_code, problems=list(problems(report)))


def register(origin: str, redirect_uri: str) -> str:
    """Register a public client (RFC 7591); return its identifier."""
    metadata = {"client_name": "Suite", "redirect_uris": [redirect_uri], "token_endpoint_auth_method": "none"}
    answer = httpx2.post(f"{origin}/oauth/register", json=metadata, trust_env=False)
    client_id: str = answer.raise_for_status().json()["client_id"]
    return client_id


def converse(command: list[str], origin: str, approve: Callable[[str], str]) -> tuple[str, int]:
    """Run the suite and have each authorization URL that it prints approved; return what was printed and the exit code.

    Args:
        command: The suite with its arguments.
        origin: Where the authorization server is.
        approve: Takes an authorization URL and returns where the browser was sent in the end.
    """
    lines: list[str] = []
    with subprocess.Popen(  # noqa: S603 - what runs is pinned by its hash
        command,
        cwd=PACKAGES,
        env=node_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    ) as process:
        deadline = threading.Timer(DEADLINE, process.kill)  # which ends the loop below
        deadline.start()
        try:
            for line in process.stdout or ():
                lines.append(line)
                if line.startswith(f"{origin}/") and "response_type=code" in line:
                    lines.append(f"The browser ended at {approve(line.strip())}\n")
            process.wait()
        except (httpx2.HTTPError, UnexpectedPageError) as error:
            lines.append(f"The browser failed: {error!r}\n")
        finally:
            deadline.cancel()
            process.kill()  # unless it has ended, it waits for a browser that does not come
    return "".join(lines), process.returncode


def problems(report: Path) -> Iterator[str]:
    """Yield a line for each check that did not succeed and for each scenario without a success: skipped, or absent."""
    for file in sorted(report.glob("*/checks.json")):
        for check_ in json.loads(file.read_bytes()):
            if check_["status"] not in {"SUCCESS", "INFO"}:
                yield f"{check_['status'].lower()}: {check_['id']}: {check_.get('errorMessage', '')}"
    for scenario in SCENARIOS:
        files = report.glob(f"authorization-server-{scenario}-[0-9]*/checks.json")
        if not any(check_["status"] == "SUCCESS" for file in files for check_ in json.loads(file.read_bytes())):
            yield f"without a success: {scenario}"
