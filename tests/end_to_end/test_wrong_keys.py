"""A server with signed tokens keeps its keys over a restart, and does not start with the wrong sealing key."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.end_to_end import local_http
from tests.end_to_end.conftest import TARGET
from tests.end_to_end.running_server import REPOSITORY, RunningServer

JWT = {"OAUTH_ACCESS_TOKEN_FORMAT": "jwt"}


def test_the_keys_survive_a_restart_and_a_wrong_ring_is_one_sentence(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with RunningServer(TARGET, data, environment=JWT) as server:
        published = local_http.get(f"{server.origin}/oauth/jwks").json()
        server.kill()
        server.start()
        assert local_http.get(f"{server.origin}/oauth/jwks").json() == published

    key = data / "gatepost.key"
    assert key.stat().st_mode & 0o777 == 0o600
    key.unlink()
    ended = subprocess.run(
        [sys.executable, "-m", "gatepost", "serve", TARGET, "--port", "0"],
        cwd=REPOSITORY,
        env={**os.environ, **JWT, "OAUTH_STORAGE_DIR": str(data)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("gatepost: The store was sealed with the key ")
    assert "Traceback" not in ended.stderr
