"""`gatepost front`: what is said of a command line, and of a server that does not start."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from gatepost.app import run
from gatepost.assembly import installation
from gatepost.cli.main import main
from gatepost.cli.terminal import CommandRefused
from gatepost.fronts.command import Command

SERVER = Path(__file__).parents[1] / "fronts/recording_server.py"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would be served, and where."""
    served: list[Any] = []

    def install(command: Command, *_: Any, **__: Any) -> Any:
        served.append(command)
        raise CommandRefused("seen", exit_code=0)

    monkeypatch.setattr(installation, "install", install)
    return served


def test_a_server_is_tried_and_then_served_with_what_it_says_of_itself(served: list[Any], tmp_path: Path) -> None:
    record = str(tmp_path / "record")
    code = main(["front", "--port", "0", "--serial", "--", sys.executable, str(SERVER), "--port", record])

    (command,) = served
    assert code == 0
    assert command.arguments == (sys.executable, str(SERVER), "--port", record)
    assert command.sharing.is_serial
    assert command.introduction.title == "Recording server"


def test_the_command_may_stand_without_dashes_before_it(served: list[Any]) -> None:
    assert main(["front", "--port", "0", "--share", "user", sys.executable, str(SERVER)]) == 0
    assert served[0].arguments == (sys.executable, str(SERVER))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--die"], "It ended before it answered: It ended with code 1."),
        (["--silent"], "It did not answer within 1 seconds."),
    ],
)
def test_a_server_that_does_not_start_is_shown_with_its_last_words(
    served: list[Any], capsys: pytest.CaptureFixture[str], options: list[str], sentence: str
) -> None:
    code = main(
        [
            "front",
            "--start-seconds",
            "1" if options == ["--silent"] else "60",
            "--",
            sys.executable,
            str(SERVER),
            *options,
        ]
    )

    assert code == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"gatepost: {Path(sys.executable).name} does not start as an MCP server. {sentence}"
    assert said[1] == "gatepost: recording server is up"
    if options == ["--die"]:
        assert said[2] == "gatepost: AttributeError: no such thing"
    assert not served


def test_a_program_that_serves_one_says_it_likewise(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run({"/x/mcp": Command(sys.executable, str(SERVER), "--die")}, port=0)

    assert ended.value.code == 1
    assert "AttributeError: no such thing" in capsys.readouterr().err


def test_a_command_that_is_none_is_said_to_be_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["front", "--", "/no/such/command"]) == 1
    assert capsys.readouterr().err == (
        "gatepost: command does not start as an MCP server. /no/such/command cannot be started: "
        "No such file or directory.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            [],
            (
                "Name the server: gatepost front -- npx -y some-server starts one, gatepost front "
                "https://mcp.example.com/mcp is one elsewhere, and gatepost front --config FILE takes several."
            ),
        ),
        *(
            (
                [url],
                (
                    f"There is no command {url}. If that is the URL of a server, http:// or https:// is missing: "
                    f"gatepost front https://{url}"
                ),
            )
            for url in ("mcp.example.com/mcp", "127.0.0.1:8000/mcp", "localhost:8000", "[::1]:8000/mcp")
        ),
        (["--idle-seconds", "0", "--", "x"], "Times and numbers of processes are greater than 0; spares may be 0."),
        (["--share", "all", "--", "x", "{user}"], '{user} names nobody with share="all".'),
        (["--env", "NOT_SET_HERE", "--", "x"], "--env NOT_SET_HERE: write NAME=VALUE, or a NAME that is set here."),
        (["--env", "=x", "--", "x"], "--env =x: write NAME=VALUE, or a NAME that is set here."),
    ],
)
def test_what_cannot_be_meant_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(["front", *arguments]) == 2
    assert capsys.readouterr().err == f"gatepost: {sentence}\n"


def test_variables_are_given_or_passed_on(served: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN", "ours")
    main(["front", "--port", "0", "--env", "OWN", "--env", "OTHER=a=b", "--", sys.executable, str(SERVER)])

    assert served[0].env == {"OWN": "ours", "OTHER": "a=b"}


def test_a_share_that_is_none_is_refused_in_code() -> None:
    with pytest.raises(ValueError, match="share= takes one of session, user, all"):
        Command("x", share="none")  # type: ignore[arg-type] # what a person may write
