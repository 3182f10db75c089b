"""`gatepost publish`: what it writes for the MCP registry, and what it says that would refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gatepost.cli.main import main

SERVER = "from gatepost import Server\n\nserver = Server('notes', version='1.2.0', description='Keeps your notes.')\n"
PUBLIC = ("--public-url", "https://notes.example.com")


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.py").write_text(SERVER)
    return tmp_path


def test_the_entry_is_written_and_the_next_steps_are_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publish", "notes.py", *PUBLIC]) == 0

    entry = json.loads((here / "server.json").read_text())
    assert (entry["name"], entry["version"]) == ("com.example.notes/notes", "1.2.0")
    assert entry["remotes"] == [{"type": "streamable-http", "url": "https://notes.example.com/mcp"}]
    said = capsys.readouterr().out
    assert "mcp-publisher" in said
    assert "MCP_REGISTRY_AUTH" in said


def test_a_dry_run_prints_the_entry_and_writes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publish", "notes.py", *PUBLIC, "--namespace", "io.github.somebody", "--dry-run"]) == 0

    assert json.loads(capsys.readouterr().out)["name"] == "io.github.somebody/notes"
    assert not (here / "server.json").exists()


def test_what_the_registry_would_refuse_is_said_and_not_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publish", "notes.py"]) == 1

    said = capsys.readouterr().err
    assert "MCP_PUBLIC_URL" in said
    assert "MCP_SERVER_NAMESPACE" in said
    assert not (here / "server.json").exists()


def test_a_file_that_says_something_else_is_kept(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "server.json").write_text("{}\n")

    assert main(["publish", "notes.py", *PUBLIC]) == 1

    assert (here / "server.json").read_text() == "{}\n"
    assert "--output" in capsys.readouterr().err
    assert main(["publish", "notes.py", *PUBLIC, "--output", "other.json"]) == 0
    assert main(["publish", "notes.py", *PUBLIC, "--output", "other.json"]) == 0


def test_of_several_servers_one_is_named_by_its_path(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "both.py").write_text(
        "from gatepost import Server\n\nboth = {'/notes': Server('notes'), '/mail': Server('mail')}\n"
    )

    assert main(["publish", "both.py:both", *PUBLIC, "--dry-run"]) == 2
    assert "--path: /notes, /mail" in capsys.readouterr().err
    assert main(["publish", "both.py:both", *PUBLIC, "--path", "/mail", "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "com.example.notes/mail"


def test_what_is_no_server_says_nothing_to_publish(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "function.py").write_text("def handle(message):\n    return None\n")

    assert main(["publish", "function.py:handle", *PUBLIC]) == 1
    assert "gatepost.Server" in capsys.readouterr().err


def test_nothing_to_publish_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publish"]) == 2
    assert "name a target" in capsys.readouterr().err
