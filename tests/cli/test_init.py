"""`gatepost init` asks three questions and writes a project, or nothing."""

from __future__ import annotations

import builtins
import io
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.cli.main import main
from gatepost.cli.starting_project import LOGINS, StartingProject, is_name, name_for, write
from gatepost.cli.terminal import CommandRefused
from gatepost.configuration.settings import variables

FILES = [
    ".dockerignore",
    ".env",
    ".gitignore",
    "Dockerfile",
    "README.md",
    "pytest.ini",
    "requirements-dev.txt",
    "requirements.txt",
    "server.py",
    "test_server.py",
]
PUBLIC_URL = "https://mcp.example.com"
ON_THIS_MACHINE = "MCP_PUBLIC_URL=http://127.0.0.1:8000"


class Terminal(io.StringIO):
    """Standard input or output at which a person sits."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, *answers: str) -> tuple[Terminal, list[str]]:
    """Have somebody sit there who types these answers and then Ctrl-D; what is printed, and what is asked."""
    screen, asked, typed = Terminal(), list[str](), iter(answers)

    def answer(prompt: str) -> str:
        asked.append(prompt)
        for text in typed:
            return text
        raise EOFError

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(builtins, "input", answer)
    return screen, asked


def contents(folder: Path) -> dict[str, str]:
    """The files of a folder with their texts."""
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


@pytest.fixture
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("usual_umask")
def test_a_project_is_written_with_settings_that_nobody_else_can_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "work/notes"]) == 0

    assert {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in Path("work/notes").iterdir()} == {
        name: "0o600" if name == ".env" else "0o644" for name in FILES
    }
    wrote, *following = capsys.readouterr().out.splitlines()
    assert wrote.startswith("Wrote the project notes to work/notes: server.py, ")
    assert following == [
        "",
        "Next:",
        "",
        "    cd work/notes",
        "    python3 -m venv .venv && . .venv/bin/activate",
        "    pip install -r requirements-dev.txt",
        "    pytest",
        "    gatepost serve",
        "",
        "While you write it, gatepost dev loads each change at once, and has a page that calls the tools.",
    ]


@pytest.mark.parametrize(("url", "command"), [("", "gatepost dev"), (PUBLIC_URL, f"{ON_THIS_MACHINE} gatepost dev")])
def test_a_project_in_this_folder_is_tried_on_this_machine_whatever_its_public_url(
    url: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--name", "notes", "--public-url", url]) == 0

    said = capsys.readouterr().out
    assert said.startswith("Wrote the project notes to this folder: server.py, ")
    assert f"While you write it, {command} loads" in said
    assert f"While you write it, `{command}` loads" in Path("README.md").read_text(encoding="utf-8")


def test_without_a_terminal_and_with_yes_the_defaults_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["init", "notes"]) == 0
    monkeypatch.setattr(builtins, "input", lambda _: pytest.fail("something was asked"))
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert main(["init", "elsewhere", "--yes", "--name", "notes"]) == 0

    assert contents(Path("notes")) == contents(Path("elsewhere"))
    assert variables(Path("notes/.env")).items() >= {
        ("MCP_HANDLER", "server:server"),
        ("OAUTH_STORAGE_DIR", ".gatepost"),
    }
    assert 'Server(\n    "notes",' in Path("notes/server.py").read_text(encoding="utf-8")


def test_at_a_terminal_what_is_not_given_is_asked_and_a_wrong_answer_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen, asked = at_a_terminal(
        monkeypatch, "my server", "diary", "everybody", "github", "http://x.example", PUBLIC_URL
    )

    assert main(["init", "notes"]) == 0

    assert [question.splitlines()[0] for question in asked] == [
        *["Name of the server [notes]: "] * 2,
        *["Who may log in?"] * 2,
        *["Where will it run? The https address that clients will use, or nothing for this machine: "] * 2,
    ]
    assert [line.partition(" takes ")[0] for line in screen.getvalue().splitlines()[:3]] == [
        "The name",
        "Who may log in",
        "The public URL",
    ]
    assert variables(Path("notes/.env")).items() >= {
        ("MCP_PUBLIC_URL", PUBLIC_URL),
        ("OAUTH_UPSTREAM_GITHUB_KIND", "github"),
    }
    assert Path("notes/README.md").read_text(encoding="utf-8").startswith("# diary\n")


def test_options_are_not_asked_about_and_an_empty_answer_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    _, asked = at_a_terminal(monkeypatch, "")

    assert main(["init", "notes", "--login", "tokens", "--public-url", PUBLIC_URL]) == 0

    assert asked == ["Name of the server [notes]: "]
    assert Path("notes/README.md").read_text(encoding="utf-8").startswith("# notes\n")


def test_who_gives_no_answer_gets_no_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at_a_terminal(monkeypatch, "diary")

    assert main(["init", "notes"]) == 1

    assert capsys.readouterr().err == "gatepost: There was no answer, and nothing was written.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "option",
    [
        ("--name", "my server"),
        ("--name", 'notes"'),
        ("--name", "-"),
        ("--name", "n" * 64),
        ("--name", "naïve"),
        ("--login", "everybody"),
        ("--public-url", "http://mcp.example.com"),
        ("--public-url", "mcp.example.com"),
        ("--public-url", "https://mcp.example.com/?a=b"),
        ("--public-url", "https://mcp.example.com\nMCP_API_KEY=x"),
    ],
    ids=repr,
)
def test_a_wrong_option_is_one_sentence_and_nothing_is_written(
    option: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "notes", "=".join(option)]) == 2

    complaint = capsys.readouterr().err
    assert complaint.startswith("gatepost: ")
    assert complaint.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_there_are_named_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".env").write_text("MINE=1", encoding="utf-8")
    assert main(["init"]) == 1
    assert capsys.readouterr().err == (
        "gatepost: .env is in this folder already, and nothing was written: name another folder, or move it away.\n"
    )
    (tmp_path / "server.py").symlink_to("nowhere")
    assert main(["init"]) == 1
    assert capsys.readouterr().err == (
        "gatepost: server.py and .env are in this folder already, and nothing was written: name another folder, or "
        "move them away.\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [".env", "server.py"]
    assert (tmp_path / ".env").read_text(encoding="utf-8") == "MINE=1"


def test_a_folder_with_other_files_gets_the_project_beside_them(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("mine", encoding="utf-8")

    assert main(["init"]) == 0

    assert sorted(contents(tmp_path)) == sorted([*FILES, "LICENSE"])


def test_a_place_that_is_no_folder_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes").write_text("a file", encoding="utf-8")

    assert main(["init", "notes"]) == 1
    assert main(["init", "notes/inner"]) == 1

    assert [line.partition(" cannot")[0] for line in capsys.readouterr().err.splitlines()] == [
        "gatepost: notes",
        "gatepost: notes/inner",
    ]
    assert contents(tmp_path) == {"notes": "a file"}


def test_when_one_file_cannot_be_written_none_is_left(tmp_path: Path) -> None:
    with pytest.raises(CommandRefused, match=r"missing/third cannot be written, and nothing was left there: No such"):
        write(tmp_path / "deep" / "notes", {"first": "", "second": "", "missing/third": ""})

    assert list(tmp_path.iterdir()) == []


def test_a_sealing_key_is_made_for_each_public_project_and_for_no_other() -> None:
    for name in ("one", "two"):
        assert main(["init", name, "--public-url", PUBLIC_URL]) == 0
    assert main(["init", "three"]) == 0

    one, two, three = (variables(Path(name, ".env")).get("MCP_SEALING_KEYS") for name in ("one", "two", "three"))
    assert one is not None
    assert two is not None
    assert (len(one), len(two), one == two, three) == (43, 43, False, None)


def test_the_answers_change_the_settings_and_the_readme_alone() -> None:
    """So what is tested of the other files for one answer holds for all of them."""
    projects = [
        StartingProject("notes", login, public_url).files(sealing_key="k" * 43)
        for login in LOGINS
        for public_url in (None, PUBLIC_URL)
    ]

    assert sorted(projects[0]) == FILES
    assert {name for project in projects for name, text in project.items() if text != projects[0][name]} == {
        ".env",
        "README.md",
    }
    assert not any(left in text for one in projects for text in one.values() for left in ("{{", "{%", "Undefined"))
    assert not any("None" in one[name] for one in projects for name in (".env", "README.md"))


def test_the_image_is_the_one_for_a_project_of_ones_own_without_hashes() -> None:
    """There are no hashes before somebody has pinned the versions; the file says how that is done."""
    docker = Path(__file__).parents[2] / "deploy" / "docker"
    files = StartingProject("notes").files(sealing_key="")
    steps = (docker / "project.Dockerfile").read_text(encoding="utf-8").partition("\nFROM ")[2]

    assert files["Dockerfile"].partition("\nFROM ")[2] == steps.replace(" --require-hashes", "")
    assert set(files[".dockerignore"].splitlines()[1:]) >= set(
        (docker / "project.dockerignore").read_text(encoding="utf-8").splitlines()[1:]
    )


@pytest.mark.parametrize("login", LOGINS)
def test_what_is_left_open_is_named_where_it_is_filled_in_and_where_it_is_read_about(login: str) -> None:
    project = StartingProject("notes", login)
    files = project.files(sealing_key="")

    assert tuple(line[:-1] for line in files[".env"].splitlines() if line.endswith("=") and line[0] != "#") == (
        project.unset
    )
    assert all(variable in files["README.md"] for variable in project.unset)


@pytest.mark.parametrize(
    ("folder", "name"),
    [("notes", "notes"), ("My Notes (2)", "My-Notes-2"), ("42", "notes"), ("ñ", "notes"), ("a" * 80, "a" * 63)],
)
def test_a_server_is_named_after_its_folder_as_far_as_that_is_a_name(folder: str, name: str) -> None:
    assert name_for(Path("work") / folder) == name
    assert is_name(name)
