"""Progress, logs and questions of a server at the terminal."""

from __future__ import annotations

import io
import webbrowser
from typing import Any

import pytest
from mcp_types import ElicitRequestFormParams, ElicitRequestURLParams, LoggingMessageNotificationParams

from gatepost.cli.calls.terminal_client import TerminalClient, typed_line

FORM: dict[str, Any] = {
    "type": "object",
    "required": ["name", "age"],
    "properties": {
        "name": {"type": "string", "title": "Your\x1b name", "description": "as on the door"},
        "age": {"type": "integer"},
        "sure": {"type": "boolean", "default": True},
        "size": {"type": "string", "enum": ["S", "M"]},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
        "height": {"type": "number"},
    },
}


class Typist:
    """Types these lines."""

    def __init__(self, *lines: str) -> None:
        self.lines = [*lines]
        self.questions: list[str] = []

    def __call__(self, question: str) -> str:
        self.questions.append(question)
        if not self.lines:
            raise EOFError
        return self.lines.pop(0)


async def asked(*lines: str, can_ask: bool = True) -> tuple[tuple[str, Any], Typist]:
    typist = Typist(*lines)
    terminal = TerminalClient(is_live=False, can_ask=can_ask, ask=typist)
    params = ElicitRequestFormParams(message="Who are\x1b[1m you?", requested_schema=FORM)
    result = await terminal.on_elicitation(None, params)
    return (result.action, result.content), typist


async def test_a_form_is_asked_property_by_property(capsys: pytest.CaptureFixture[str]) -> None:
    answer, typist = await asked("Ada", "36", "no", "M", "a, b", "1.7")
    content = {"name": "Ada", "age": 36, "sure": False, "size": "M", "tags": ["a", "b"], "height": 1.7}
    assert answer == ("accept", content)
    assert typist.questions[:2] == ["Your\ufffd name - as on the door (text): ", "age (whole number): "]
    assert "The server asks: Who are\ufffd[1m you?" in capsys.readouterr().err


def test_a_question_does_not_go_where_the_result_goes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Ada\n"))
    assert typed_line("Your name: ") == "Ada"
    assert capsys.readouterr() == ("", "Your name: ")


async def test_the_terminal_is_asked_so_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    terminal = TerminalClient(is_live=False, can_ask=True)
    params = ElicitRequestURLParams(message="Pay", url="https://pay.example/1", elicitation_id="1")
    assert (await terminal.on_elicitation(None, params)).action == "decline"
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.endswith("Open it in the browser? [y/N] ")


async def test_what_is_optional_may_be_left_out_and_defaults_count() -> None:
    answer, _ = await asked("Ada", "36", "", "", "", "")
    assert answer == ("accept", {"name": "Ada", "age": 36, "sure": True})


async def test_what_does_not_fit_is_asked_again_a_few_times(capsys: pytest.CaptureFixture[str]) -> None:
    answer, _ = await asked("", "Ada", "old", "36", "perhaps", "y", "L", "S", "c", "a", "tall", "2")
    assert answer == ("accept", {"name": "Ada", "age": 36, "sure": True, "size": "S", "tags": ["a"], "height": 2.0})
    said = capsys.readouterr().err
    for sentence in ("It is needed.", "It takes a number.", "It takes yes or no.", "It takes one of S, M."):
        assert sentence in said
    answer, _ = await asked("Ada", "x", "x", "x")
    assert answer == ("decline", None)


async def test_a_person_declines_or_leaves() -> None:
    assert (await asked("Ada", "!"))[0] == ("decline", None)
    assert (await asked("Ada"))[0] == ("cancel", None)
    answer, typist = await asked(can_ask=False)
    assert (answer, typist.questions) == (("decline", None), [])


@pytest.mark.parametrize(
    ("line", "url", "action", "opened"),
    [
        ("y", "https://pay.example/1", "accept", ["https://pay.example/1"]),
        ("", "https://pay.example/1", "decline", []),
        ("yes", "file:///etc/passwd", "accept", []),
    ],
)
async def test_a_page_is_opened_when_the_person_says_so(
    monkeypatch: pytest.MonkeyPatch, line: str, url: str, action: str, opened: list[str]
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(webbrowser, "open", seen.append)
    terminal = TerminalClient(is_live=False, can_ask=True, ask=Typist(line))
    result = await terminal.on_elicitation(None, ElicitRequestURLParams(message="Pay", url=url, elicitation_id="1"))
    assert (result.action, seen) == (action, opened)


async def test_progress_is_one_line_that_changes_and_only_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for is_live in (False, True):
        terminal = TerminalClient(is_live=is_live, can_ask=False)
        await terminal.on_progress(1, 4, "a\x1b[2Jb")
        await terminal.on_progress(2, None, None)
        terminal.end_progress()
        terminal.end_progress()
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err == ("\r 25 %  a\ufffd[2Jb\033[K\r2  \033[K\n" if is_live else "")


@pytest.mark.parametrize(
    ("data", "logger", "line"),
    [
        ("kept\x1b[1m it", None, "[info] kept\ufffd[1m it"),
        ({"msg": "as FastMCP says it", "extra": None}, "shop", "[info shop] as FastMCP says it"),
        ({"a": 1}, None, "[info] {'a': 1}"),
        ("one\ngatepost: a sentence of ours", None, "[info] one\n    gatepost: a sentence of ours"),
    ],
)
async def test_logs_are_lines_of_their_own(
    capsys: pytest.CaptureFixture[str], data: Any, logger: str | None, line: str
) -> None:
    terminal = TerminalClient(is_live=True, can_ask=False)
    await terminal.on_log(LoggingMessageNotificationParams(level="info", data=data, logger=logger))
    assert capsys.readouterr().err == f"{line}\n"
