"""The clients by hand go through the whole flow against a server on this machine, where a browser approves."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from examples.notes import server
from gatepost.testing import Browser, RunningServer
from tests.conftest import RequireService
from tools.npm_packages import node_environment

CLIENTS = Path(__file__).resolve().parents[2] / "examples" / "clients"
COMMANDS = {"flow.py": sys.executable, "flow.mjs": "node", "flow.sh": "sh"}


@pytest.fixture
async def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningServer]:
    """The notes, at a port of this machine."""
    monkeypatch.setenv("OAUTH_STORAGE_DIR", str(tmp_path))
    async with RunningServer(server, listen=True) as running:
        yield running


async def run(client: str, *arguments: str, browser: Browser, decision: str = "approve") -> tuple[int | None, str]:
    """Start a client, decide in the browser what it asks for, and return its exit code and what it says."""
    environment = {**os.environ, **node_environment(), "no_proxy": "127.0.0.1"}
    process = await asyncio.create_subprocess_exec(
        COMMANDS[client],
        str(CLIENTS / client),
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    said = ""
    try:
        while line := (await process.stdout.readline()).decode():
            said += line
            if "/oauth/authorize?" in line:
                decide = browser.approve if decision == "approve" else browser.deny
                await decide(line.strip(), delivers=True)
    finally:
        if process.returncode is None and not process.stdout.at_eof():
            process.kill()
        await process.wait()
    return process.returncode, said


def require(client: str, require_service: RequireService) -> None:
    if client == "flow.sh":
        require_service("curl", available=shutil.which("curl") is not None)


@pytest.mark.parametrize("client", COMMANDS)
async def test_a_client_by_hand_logs_in_calls_refreshes_and_leaves(
    client: str, running: RunningServer, require_service: RequireService
) -> None:
    require(client, require_service)
    browser = await running.browser("alice")

    code, said = await run(client, running.url, "add", '{"text": "milk"}', browser=browser)

    steps = re.sub(r"Open this in a browser:\n\S+\n", "", said)
    call = re.search(r"^call: (.*)$", steps, re.MULTILINE)
    assert call is not None, said
    assert '"text":"milk"' in call[1].replace(" ", "")
    assert (code, re.sub(r"(?m)^(registration|call): .*$", r"\1", steps).splitlines()) == (
        0,
        [
            f"discovery: {running.origin}",
            "registration",
            "tokens: notes:read notes:write, for 3600 seconds",
            "call",
            "refresh: another access token, and another refresh token",
            "revocation: a call is answered 401 now",
        ],
    ), said


@pytest.mark.parametrize("client", COMMANDS)
async def test_a_client_by_hand_takes_no_for_an_answer(
    client: str, running: RunningServer, require_service: RequireService
) -> None:
    require(client, require_service)

    code, said = await run(client, running.url, "add", browser=await running.browser("alice"), decision="deny")

    assert (code, said.splitlines()[-1]) == (1, "Refused: access_denied.")
