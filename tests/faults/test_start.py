"""Servers that start before their database does: at the same time, and many of them."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.end_to_end import local_http
from tests.end_to_end.running_server import REPOSITORY, RunningServer
from tests.faults.world import SETTINGS, TARGET, World
from tests.postgresql_instance import Instances


def test_a_server_that_starts_before_its_database_waits_for_it_and_says_so(
    instances: Instances, tmp_path: Path
) -> None:
    primary = instances.primary()
    primary.stop()
    server = RunningServer(TARGET, tmp_path, environment={**SETTINGS, "MCP_STORAGE_URL": primary.url})
    with ThreadPoolExecutor(1) as thread:
        starting = thread.submit(server.start)
        while "waiting for the store, at most 60 seconds" not in server.output:
            assert not starting.done(), server.output
        primary.start()
        starting.result(local_http.PATIENCE)
    try:
        assert "the store is there now" in server.output
        World(server, primary.url).assert_whole(World(server, primary.url).requests())
    finally:
        assert server.stop() == 0


def test_a_database_that_does_not_come_ends_the_start_with_a_sentence(instances: Instances, tmp_path: Path) -> None:
    primary = instances.primary()
    primary.stop()
    ended = subprocess.run(
        [sys.executable, "-m", "gatepost", "serve", TARGET, "--port", "0"],
        cwd=REPOSITORY,
        env={
            **os.environ,
            "OAUTH_STORAGE_DIR": str(tmp_path),
            "MCP_STORAGE_URL": primary.url,
            "MCP_STORAGE_WAIT_SECONDS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=local_http.PATIENCE,
    )
    assert ended.returncode == 1
    assert f"the store postgresql://127.0.0.1:{primary.port}/test cannot answer" in ended.stderr
    assert "Traceback" not in ended.stderr
