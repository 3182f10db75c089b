"""The steps of docs/backup.md: a backup beside a running server, restored elsewhere with its key."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.end_to_end.conftest import TARGET
from tests.end_to_end.running_server import REPOSITORY, RunningServer
from tests.end_to_end.scripted_client import App, Person


def gatepost(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gatepost", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "OAUTH_STORAGE_DIR": str(data)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_a_backup_moves_a_server_and_revives_no_token(server: RunningServer, owner: Person, tmp_path: Path) -> None:
    app = App(server.origin).register()
    tokens = app.redeem(app.code_from(owner.decide(app.authorization_url()))).json()
    backup, elsewhere = tmp_path / "backup.db", tmp_path / "elsewhere"

    made = gatepost(server.data, "store", "backup", str(backup))
    assert (made.returncode, made.stderr) == (0, "")
    refused = gatepost(server.data, "store", "restore", str(backup))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "is in use: stop Gatepost first" in refused.stderr
    assert app.call(tokens["access_token"], "whoami", {}).status_code == 200
    server.stop()
    restored = gatepost(elsewhere, "store", "restore", str(backup))
    assert (restored.returncode, restored.stderr) == (0, "")
    shutil.copy(server.data / "gatepost.key", elsewhere)

    with RunningServer(TARGET, elsewhere, port=server.port):
        assert app.call(tokens["access_token"], "whoami", {}).status_code == 401
        assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
        again = app.redeem(app.code_from(Person(server.origin).decide(app.authorization_url()))).json()
        assert app.call(again["access_token"], "whoami", {}).status_code == 200


def test_a_key_file_that_belongs_to_another_store_is_named_at_the_start(server: RunningServer, tmp_path: Path) -> None:
    backup, elsewhere = tmp_path / "backup.db", tmp_path / "elsewhere"
    assert gatepost(server.data, "store", "backup", str(backup)).returncode == 0
    assert gatepost(elsewhere, "store", "restore", str(backup)).returncode == 0

    ended = gatepost(elsewhere, "serve", TARGET, "--port", "0")

    assert ended.returncode == 2
    assert f"{elsewhere / 'gatepost.key'} holds " in ended.stderr
    assert "put the key file that belongs to this store in its place" in ended.stderr
