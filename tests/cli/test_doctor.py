"""`gatepost doctor` as it is typed."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from gatepost.cli.main import main
from tests.end_to_end.running_server import free_port


@pytest.fixture
def nobody_listens() -> str:
    """An address at which nobody listens."""
    return f"http://127.0.0.1:{free_port()}/mcp"


def test_an_address_at_which_nobody_listens_is_a_failure_that_is_explained(
    nobody_listens: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", nobody_listens]) == 1

    told = capsys.readouterr()
    assert "            seen      POST /mcp: nobody listens there: connection refused" in told.out.splitlines()
    assert told.err == ""


def test_programs_get_one_object(nobody_listens: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json", nobody_listens]) == 1

    assert [finding["id"] for finding in json.loads(capsys.readouterr().out)["findings"]] == ["reachable"]


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            "mcp.example.com",
            "http:// or https:// is missing. URL takes an MCP URL, such as https://mcp.example.com/mcp.",
        ),
        ("ftp://mcp.example.com/mcp", "URL takes an MCP URL, such as https://mcp.example.com/mcp."),
        ("https://mcp.example.com:port/", "URL takes an MCP URL, such as https://mcp.example.com/mcp."),
        ("https://[mcp/", "URL takes an MCP URL, such as https://mcp.example.com/mcp."),
        ("https://me:pw@mcp.example.com/", "URL takes an MCP URL without a user, a password and a fragment."),
        ("https://mcp.example.com/#x", "URL takes an MCP URL without a user, a password and a fragment."),
    ],
)
def test_what_is_no_mcp_url_is_wrong_usage(url: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", url]) == 2
    assert capsys.readouterr().err == f"gatepost: {sentence}\n"


def test_patience_needs_a_token(nobody_listens: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--patient", nobody_listens]) == 2
    assert capsys.readouterr().err == (
        "gatepost: --patient needs a token: GATEPOST_TOKEN, --token-file FILE, or --login.\n"
    )


@pytest.mark.parametrize("option", [[], ["--login"]], ids=["with a token", "with a login"])
def test_no_token_is_sent_in_clear_to_another_machine(
    option: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GATEPOST_TOKEN", "token-of-test")

    assert main(["doctor", *option, "http://192.0.2.1/mcp"]) == 2
    assert capsys.readouterr().err == (
        "gatepost: A token would be sent in clear: use https, or a server on this machine.\n"
    )


@pytest.mark.parametrize("other", [["--without-registration"], ["--token-file", "token"]], ids=" ".join)
def test_a_login_registers_and_needs_no_token(
    other: list[str], nobody_listens: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--login", *other, nobody_listens]) == 2
    assert capsys.readouterr().err == ("gatepost: --login goes with neither --token-file nor --without-registration.\n")


def test_a_token_that_is_none_is_refused_without_being_repeated(
    nobody_listens: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text("two words\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("two words"))
    for file in (str(tmp_path / "token"), "-"):
        assert main(["doctor", "--token-file", file, nobody_listens]) == 2
        assert capsys.readouterr().err == (
            "gatepost: --token-file holds no access token: that is one word (RFC 6750 section 2.1).\n"
        )
    monkeypatch.setenv("GATEPOST_TOKEN", "two words")
    assert main(["doctor", nobody_listens]) == 2
    assert "words" not in capsys.readouterr().err


def test_a_token_file_that_is_not_there_is_wrong_usage(
    nobody_listens: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing"

    assert main(["doctor", "--token-file", str(missing), nobody_listens]) == 2
    assert capsys.readouterr().err == f"gatepost: {missing} cannot be read as a text file.\n"
