"""`gatepost check` beside a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from gatepost.cli.checks import network
from gatepost.configuration.deployment import resolve_deployment
from gatepost.configuration.settings import load_settings
from tests.end_to_end.running_server import RunningServer
from tests.stores.care.filled import OLD

STORE = {"MCP_STORAGE_URL": "sqlite:///gatepost.db"}


async def test_a_server_that_runs_at_the_address_is_known_by_its_issuer(shared_server: RunningServer) -> None:
    settings = load_settings({"MCP_PORT": str(shared_server.port), **STORE})
    assert await network.runs_already(settings, resolve_deployment(settings, is_single_user=False))
    other = {"MCP_PORT": str(shared_server.port), "MCP_PUBLIC_URL": "https://mcp.example.com", **STORE}
    settings = load_settings({**other, "MCP_SEALING_KEYS": OLD})
    assert not await network.runs_already(settings, resolve_deployment(settings, is_single_user=False))


def test_a_check_beside_its_server_finds_nothing_wrong_and_the_port_its_own(shared_server: RunningServer) -> None:
    environment = {**os.environ, "OAUTH_STORAGE_DIR": str(shared_server.data), "MCP_PORT": str(shared_server.port)}
    command = [sys.executable, "-m", "gatepost", "check", "--offline", "--json", "tests.end_to_end.sample_server"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    marks = {line["item"]: line["mark"] for line in map(json.loads, done.stdout.splitlines())}
    assert marks == dict.fromkeys(
        (
            *("settings", "deployment", "target", "store", "store files", "disk", "sealing keys", "signing keys"),
            *("address", "open files"),
        ),
        "ok",
    ) | {"network": "skipped"}
    assert f"port {shared_server.port} is taken by this very server, which runs." in done.stdout
