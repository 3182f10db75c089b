"""`gatepost call`: what is wrong usage, and where a token may come from."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from gatepost.cli.main import main
from tests.end_to_end.running_server import free_port

URL = "https://mcp.example/mcp"
NO_OBJECT = "JSON takes one JSON object in single quotes, whose names and texts are in double quotes, such as '{"


@pytest.fixture(autouse=True)
def _state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["127.0.0.1:8000/mcp"], "http:// or https:// is missing. URL takes"),
        (["http://mcp.example/mcp"], "http on this machine only"),
        (["ftp://mcp.example/mcp"], "URL takes the address of an MCP endpoint"),
        (["https://me:secret@mcp.example/mcp"], "URL takes the address of an MCP endpoint"),
        ([f"{URL}#part"], "URL takes the address of an MCP endpoint"),
        ([URL, "add", "{text"], NO_OBJECT),
        ([URL, "add", "[1]"], NO_OBJECT),
        ([URL, "add", "--prompts"], "take no TOOL"),
        ([URL, "--redirect-port", "70000"], "--redirect-port takes a port number"),
        ([URL, "--token-file", "missing"], "missing cannot be read: No such file or directory"),
    ],
)
def test_wrong_usage_is_a_sentence_and_exit_code_two(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(["call", *arguments]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("text", ["two words", "", "line\nline"])
def test_what_is_no_token_is_not_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str
) -> None:
    (tmp_path / "token").write_text(text)
    assert main(["call", URL, "--token-file", "token"]) == 2
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert main(["call", URL, "--token-file", "-"]) == 2
    said = capsys.readouterr().err
    assert said.count("holds something else than one token") == 2
    assert "words" not in said


def test_a_server_that_is_not_there_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}/mcp"
    assert main(["call", url]) == 1
    assert f"gatepost: {url} cannot be reached (ConnectError" in capsys.readouterr().err


def test_logging_out_where_nothing_is_kept_asks_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["call", URL, "--logout"]) == 0
    assert capsys.readouterr().out == f"Nothing is kept of {URL}.\n"


def test_without_the_official_client_it_is_said_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    assert main(["call", URL]) == 1
    assert 'pip install "gatepost[dev]", or uvx --with mcp gatepost call' in capsys.readouterr().err
