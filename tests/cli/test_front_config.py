"""`gatepost front --config`: what is said of a command line, of a file, and of servers that do not answer."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from gatepost.assembly import installation
from gatepost.cli.main import main
from gatepost.cli.terminal import CommandRefused
from gatepost.fronts import introduction
from gatepost.fronts.command import Command
from gatepost.fronts.merged import Merged

SERVER = Path(__file__).parents[1] / "fronts/recording_server.py"
NOWHERE = "http://127.0.0.1:1/mcp"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would be served."""
    served: list[Any] = []

    def install(target: Any, *_: Any, **__: Any) -> Any:
        served.append(target)
        raise CommandRefused("seen", exit_code=0)

    monkeypatch.setattr(installation, "install", install)
    return served


def config(tmp_path: Path, **servers: Any) -> str:
    path = tmp_path / "mcp.json"
    path.write_text(json.dumps({"mcpServers": servers}))
    return str(path)


def recording(*flags: str) -> dict[str, Any]:
    return {"command": sys.executable, "args": [str(SERVER), *flags]}


def test_several_servers_are_tried_side_by_side_and_one_that_is_away_is_said_and_served_all_the_same(
    served: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(tmp_path, a=recording(), b=recording("--die"), c={"url": NOWHERE})
    assert main(["front", "--port", "0", "--serial", "--config", path]) == 0

    (merged,) = served
    assert isinstance(merged, Merged)
    assert merged.targets["a"].introduction.title == "Recording server"
    assert merged.targets["b"].introduction is None
    assert all(front.is_tried and front.sharing.is_serial for front in merged.targets.values())
    said = capsys.readouterr().err
    name = Path(sys.executable).name
    assert (
        f"gatepost: b ({name}) does not answer as an MCP server. It ended before it answered: It ended with code 1. "
        "The others are served, and it is tried again when somebody comes.\n"
    ) in said
    assert "\ngatepost: AttributeError: no such thing\n" in said
    assert "gatepost: c (127.0.0.1) does not answer as an MCP server. It cannot be reached" in said


def test_it_is_said_for_whom_the_start_waits(
    served: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(on_wait: Any) -> None:
        on_wait(5)

    monkeypatch.setattr(introduction, "_say_that_it_takes", at_once)
    main(["front", "--port", "0", "--config", config(tmp_path, a=recording(), b=recording())])

    said, name = capsys.readouterr().err, Path(sys.executable).name
    for prefix in ("a", "b"):
        assert f"gatepost: waiting for the first answer of {prefix} ({name}), 5 of at most 60 seconds\n" in said
    assert served


def test_where_none_answers_nothing_is_served(
    served: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(tmp_path, a=recording("--die"), b=recording("--die"))

    assert main(["front", "--port", "0", "--config", path]) == 1
    assert capsys.readouterr().err.count("does not answer as an MCP server") == 2
    assert not served


def test_a_single_server_is_served_under_its_own_names(served: list[Any], tmp_path: Path) -> None:
    assert main(["front", "--port", "0", "--share", "user", "--config", config(tmp_path, a=recording())]) == 0
    assert isinstance(served[0], Command)
    assert served[0].sharing.share == "user"


def test_a_file_of_toml_says_the_same(
    served: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROGRAM", sys.executable)
    path = tmp_path / "mcp.toml"
    path.write_text(f'[mcpServers.a]\ncommand = "${{PROGRAM}}"\nargs = ["{SERVER}"]\ntimeout = 3\n')

    assert main(["front", "--port", "0", "--config", str(path)]) == 0
    assert served[0].arguments == (sys.executable, str(SERVER))
    assert f'gatepost: {path}: "a": timeout is not heeded.\n' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--", "x"], "What is served is in the file of --config; name nothing beside it."),
        (["https://x.example"], "What is served is in the file of --config; name nothing beside it."),
    ],
)
def test_nothing_is_named_beside_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(["front", "--config", config(tmp_path, a=recording()), *arguments]) == 2
    assert capsys.readouterr().err == f"gatepost: {sentence}\n"


@pytest.mark.parametrize("option", [["--env", "A=b"], ["--cwd", "/"], ["--upstream", "x"], ["--allow-http"]])
def test_what_is_for_one_server_is_said_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    assert main(["front", *option, "--config", config(tmp_path, a=recording())]) == 2
    assert capsys.readouterr().err == f"gatepost: {option[0]} is for a command or a URL only.\n"


def test_a_header_of_one_url_is_sent_to_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCP_FRONT_AUTHORIZATION", "Bearer secret")
    assert main(["front", "--config", config(tmp_path, a={"url": NOWHERE})]) == 1
    assert capsys.readouterr().err.startswith("gatepost: MCP_FRONT_AUTHORIZATION is for one URL")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b'{"a": secret}', "is not JSON: see line 1, column 7."),
        (b"[]", "holds no JSON object."),
        (b"\xff", "is not UTF-8."),
        (b"[" * 100_000, "is not JSON: it nests too deep."),
        (b"{}", 'It names no servers: there is no object "mcpServers".'),
    ],
)
def test_a_file_that_is_none_is_said_to_be_none_without_what_stands_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: bytes, sentence: str
) -> None:
    path = tmp_path / "mcp.json"
    path.write_bytes(text)

    assert main(["front", "--config", str(path)]) == 1
    said = capsys.readouterr().err
    assert said.endswith(f"{sentence}\n")
    assert said.startswith(f"gatepost: {path}")
    assert "secret" not in said


def test_a_file_that_is_missing_is_said_to_be_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["front", "--config", "/no/such/mcp.json"]) == 1
    assert capsys.readouterr().err == "gatepost: /no/such/mcp.json cannot be read: No such file or directory.\n"
