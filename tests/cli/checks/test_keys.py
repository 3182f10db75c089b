"""`gatepost check` says who may read the files of secrets."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gatepost.cli.checks.finding import Finding
from gatepost.cli.checks.keys import keys_found
from gatepost.configuration.settings import load_settings

KEY = "seal-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="files have no such modes there")


def note(item: str, setting: str, mode: str) -> Finding:
    said = (
        f"The file of {setting} has mode {mode}, so every user of this machine may use it: chmod 600 it. "
        "In a container without other users it may stay so."
    )
    return Finding(item, "note", said)


async def notes_for(*modes: int, folder: Path) -> list[Finding]:
    """Return what is noted where the files of the sealing keys and of the store's password have these modes."""
    files = [folder / "keys", folder / "password"]
    for file, mode in zip(files, modes, strict=True):
        file.write_text(KEY, encoding="ascii")
        file.chmod(mode)
    names = dict(zip(("MCP_SEALING_KEYS_FILE", "MCP_STORAGE_PASSWORD_FILE"), map(str, files), strict=True))
    settings = load_settings({"MCP_STORAGE_URL": "postgresql://db.invalid/notes", **names}, env_file=None)
    found = await keys_found(settings, None, now=0)
    assert KEY not in repr(found)
    return [finding for finding in found if finding.mark == "note"]


async def test_a_file_of_secrets_that_everybody_may_read_is_noted(tmp_path: Path) -> None:
    assert await notes_for(0o644, 0o604, folder=tmp_path) == [
        note("sealing keys", "MCP_SEALING_KEYS_FILE", "0644"),
        note("store password", "MCP_STORAGE_PASSWORD_FILE", "0604"),
    ]


async def test_a_file_of_secrets_for_the_server_alone_is_as_it_should_be(tmp_path: Path) -> None:
    assert await notes_for(0o600, 0o400, folder=tmp_path) == []


async def test_a_file_of_secrets_that_kubernetes_mounts_for_a_group_is_as_it_should_be(tmp_path: Path) -> None:
    assert await notes_for(0o440, 0o440, folder=tmp_path) == []
