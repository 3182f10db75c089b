"""`gatepost front URL`: what is said of a command line, of credentials, and of a server that does not answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gatepost.assembly import installation
from gatepost.cli.main import main
from gatepost.cli.terminal import CommandRefused
from gatepost.fronts.remote import Remote

NOWHERE = "http://127.0.0.1:1/mcp"
# What the system says of the connection differs from one to the next.
SILENCE = (
    rf"gatepost: {re.escape(NOWHERE)} does not answer as an MCP server\. It cannot be reached \(ConnectError: .+\)\. "
    r"It is served all the same, and tried again when somebody comes\.\n"
)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would be served."""
    served: list[Any] = []

    def install(remote: Remote, *_: Any, **__: Any) -> Any:
        served.append(remote)
        raise CommandRefused("seen", exit_code=0)

    monkeypatch.setattr(installation, "install", install)
    return served


def test_a_server_that_does_not_answer_is_said_not_to_and_served(
    served: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["front", NOWHERE, "--port", "0", "--serial", "--most-sessions", "7"]) == 0

    (remote,) = served
    assert re.fullmatch(rf"{SILENCE}gatepost: seen\n", capsys.readouterr().err)
    assert (remote.url, remote.introduction, remote.is_tried) == (NOWHERE, None, True)
    assert (remote.sharing.is_serial, remote.sharing.most_sessions, remote.sharing.spares) == (True, 7, 0)


def test_options_may_stand_in_front_of_the_url_as_well(served: list[Any]) -> None:
    assert (
        main(["front", "--start-seconds", "5", "--share", "user", "--port", "0", NOWHERE, "--idle-seconds", "60"]) == 0
    )

    sharing = served[0].sharing
    assert (sharing.start_seconds, sharing.share, sharing.idle_seconds) == (5.0, "user", 60.0)


def test_nobody_is_asked_in_the_name_of_callers_before_there_are_any(
    served: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["front", NOWHERE, "--port", "0", "--upstream", "github"]) == 0
    assert served[0].upstream == "github"
    assert capsys.readouterr().err == "gatepost: seen\n"


def test_headers_come_from_a_file_and_from_a_setting(
    served: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "headers"
    file.write_text("# for the server elsewhere\nX-Own: one: two \n\n")
    monkeypatch.setenv("MCP_FRONT_AUTHORIZATION", "Bearer operators")
    assert main(["front", NOWHERE, "--port", "0", "--header-file", str(file)]) == 0

    assert served[0].headers == {"X-Own": "one: two", "Authorization": "Bearer operators"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("secret", "{file} has a line without a colon: write Name: value."),
        ("authorization: x", "{file} and MCP_FRONT_AUTHORIZATION both give Authorization."),
        ("X-Own: \u00fc", "{file} has a character that no header has: they are ASCII."),
        (None, "{file} cannot be read: No such file or directory."),
        (
            "X Own: x",
            "The header 'X Own' cannot be sent: names are tokens, and values visible ASCII characters.",
        ),
        ("Mcp-Session-Id: x", "The header Mcp-Session-Id is the protocol's own."),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_without_showing_what_it_says(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    text: str | None,
    sentence: str,
) -> None:
    file = tmp_path / "headers"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    monkeypatch.setenv("MCP_FRONT_AUTHORIZATION", "Bearer operators")

    assert main(["front", "--header-file", str(file), NOWHERE]) in (1, 2)
    assert capsys.readouterr().err == f"gatepost: {sentence.format(file=file)}\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["http://example.com/mcp"],
            "An http address sends everything in the clear: use https, or allow it for a network of ",
        ),
        (["https://anna:secret@example.com/mcp"], "Credentials do not belong into an address: give them as a header."),
        (["https://"], "Name the address of an MCP endpoint, such as https://mcp.example.com/mcp."),
        (["https://example.com/mcp#a"], "An address with a # in it is none of a server."),
        ([NOWHERE, "https://example.com/mcp"], "One URL stands behind one front."),
        ([NOWHERE, "--cwd", "/"], "--cwd is for a command only."),
        ([NOWHERE, "--env", "A=b"], "--env is for a command only."),
        (["--upstream", "github", "--", "server"], "--upstream is for a URL only."),
        (
            [NOWHERE, "--share", "all", "--upstream", "github"],
            'Upstream= is for each person their own, which share="all" has no place for.',
        ),
        ([NOWHERE, "--most-sessions", "0"], "Times and numbers of sessions are greater than 0."),
    ],
)
def test_what_cannot_be_meant_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(["front", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"gatepost: {sentence}")


def test_an_address_elsewhere_without_tls_is_taken_when_it_is_allowed() -> None:
    assert Remote("http://mcp.internal:8080/mcp", allow_http=True).url == "http://mcp.internal:8080/mcp"


def test_a_share_that_is_none_and_two_authorizations_are_refused_in_code() -> None:
    with pytest.raises(ValueError, match="share= takes one of session, user, all"):
        Remote(NOWHERE, share="none")  # type: ignore[arg-type] # what a person may write
    with pytest.raises(ValueError, match="upstream= sends Authorization, so headers= cannot have one"):
        Remote(NOWHERE, upstream="github", headers={"authorization": "x"})
