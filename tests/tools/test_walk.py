"""The walk through the README: what it types, what it waits for, and what of a screen stands on the page."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tools.clients import table
from tools.walk.front import with_tls
from tools.walk.pages import Page, without_ours
from tools.walk.run import PAGE
from tools.walk.screen import Command, NotOnScreenError, settled


def typed(line: str, folder: Path) -> Command:
    return Command(line, cwd=folder, environment=os.environ)


def test_a_command_is_waited_for_with_its_words_and_exit_code(tmp_path: Path) -> None:
    assert typed("pwd", tmp_path).wait(str(tmp_path)).screen == f"{tmp_path}\n"
    assert typed("echo no; exit 3", tmp_path).wait("no", code=3).screen == "no\n"


@pytest.mark.parametrize("line", ["echo something else", "echo the words; exit 1"])
def test_a_screen_without_what_the_next_step_needs_ends_the_walk_and_is_shown(line: str, tmp_path: Path) -> None:
    with pytest.raises(NotOnScreenError) as missing:
        typed(line, tmp_path).wait("the words")
    assert str(missing.value).startswith(f"$ {line}\n{line.removeprefix('echo ').partition(';')[0]}\n")


def test_words_that_never_come_are_not_waited_for_once_the_command_has_ended(tmp_path: Path) -> None:
    with pytest.raises(NotOnScreenError, match="missing: .'words'."):
        typed("true", tmp_path).wait_for("words")


def test_ctrl_c_reaches_what_the_line_has_started(tmp_path: Path) -> None:
    command = typed("trap 'echo interrupted; exit' INT; echo ready; while :; do sleep 0.1; done", tmp_path)
    command.wait_for("ready").press_ctrl_c()
    assert command.screen == "ready\ninterrupted\n"


def test_secrets_identifiers_times_and_places_do_not_stand_on_the_page() -> None:
    screen = (
        "WARNING: Location 'file:///x' is ignored\n"
        "Set up   http://127.0.0.1:4711/oauth/setup?token=gp_su_kAxUI_w2_fFTboR1Ex1vV9uQy3dpZ6qRdk0OBXChE3w\r\n"
        "2026-11-30T12:44:53.672Z INFO gatepost.audit set_up subject=user_P9nl5okS9luzyaaiBxN03Q refusal_id=f373ee85\n"
        "\n\n\ntests/oauth/test_pkce.py ........   [ 52%]\n"
        "===== 992 passed in 4.71s =====\n"
        "sealed with the key 70805521af732f1b in /tmp/x/you/gatepost.key\n"
    )
    assert settled(screen, {"/tmp/x/you": "~", "127.0.0.1:4711": "127.0.0.1:8000"}) == (  # noqa: S108 - a name
        "Set up   http://127.0.0.1:8000/oauth/setup?token=gp_su_…\n"
        "2026-12-01T09:00:00Z INFO gatepost.audit set_up subject=user_… refusal_id=…\n"
        "\n"
        "=== … passed in … s ===\n"
        "sealed with the key … in ~/gatepost.key"
    )


def test_a_page_shows_each_command_on_a_line_of_its_own_and_what_came_after_some_words(tmp_path: Path) -> None:
    page = Page({})
    page.step("Title", "Sentence.")
    command = typed("export A=1; echo banner$A/docs", tmp_path).wait()
    page.show(command)
    page.show(command, after="banner")
    assert page.render() == (
        "## Title\n\nSentence.\n\n```console\n$ export A=1\n$ echo banner$A/docs\nbanner1/docs\n```\n\n"
        "```console\n1/docs\n```"
    )


def test_somebody_who_begins_has_no_settings_and_no_make_around() -> None:
    ours = {"MCP_PORT": "1", "OAUTH_STORAGE_DIR": ".gatepost", "MAKEFLAGS": "-s", "VIRTUAL_ENV": "/x", "mcp_port": "1"}
    assert without_ours({**ours, "PATH": "/bin", "PIP_INDEX_URL": "https://pypi.example"}) == {
        "PATH": "/bin",
        "PIP_INDEX_URL": "https://pypi.example",
    }


def test_tls_comes_in_as_the_first_line_of_the_configuration_says(tmp_path: Path) -> None:
    assert with_tls("server {\n    listen 127.0.0.1:8080;\n}\n", tmp_path) == (
        f"server {{\n    listen 127.0.0.1:8080 ssl;\n    ssl_certificate {tmp_path}/server.pem;\n"
        f"    ssl_certificate_key {tmp_path}/server.pem;\n}}\n"
    )


def test_the_page_holds_a_walk_that_went_all_the_way() -> None:
    begin, end = table.markers("walk")
    _, found, rest = PAGE.read_text(encoding="utf-8").partition(begin)
    walked, ended, _ = rest.partition(end)
    assert found
    assert ended
    assert [line for line in walked.splitlines() if line.startswith("## ")] == [
        "## Serve",
        "## Create the account",
        "## Connect a client",
        "## Run the tests",
        "## Look into it",
        "## Back up",
        "## Stop and go on",
        "## Restore elsewhere",
        "## Go public",
        "## Behind the proxy",
        "## Name the proxy",
    ]
    assert settled(walked, {}) == walked.strip("\n")
