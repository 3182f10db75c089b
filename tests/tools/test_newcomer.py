"""`make newcomer` times what the README and the docs tell people to type."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.clients.table import markers
from tools.image import run as image_steps
from tools.newcomer import run, ways
from tools.newcomer.machine import HOME, Machine

ROOT = Path(__file__).resolve().parents[2]
TYPED = re.compile(r"^\| [^|]+ \| `([^`]+)` \| \d+ \| \d+:\d\d \|$", re.MULTILINE)


def test_the_table_adds_up_the_seconds_of_the_steps(tmp_path: Path) -> None:
    person = Machine(tmp_path, {}, {}, lines=[("Install", "make serve", 59.6), ("Log in", "", 62.0)])
    assert person.table() == (
        "| Step | Typed | Seconds | Since the start |\n"
        "|---|---|---|---|\n"
        "| Install | `make serve` | 60 | 0:59 |\n"
        "| Log in |  | 62 | 2:01 |"
    )


def test_a_newcomer_has_nothing_of_this_machine_but_the_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line is run in the root, as somebody without rights, with a fresh environment."""
    entered: list[str] = []
    monkeypatch.setattr("tools.newcomer.machine.Command", lambda line, **_: entered.append(line))
    monkeypatch.setenv("MCP_API_KEY", "of-this-machine")
    files = {"/etc/resolv.conf": Path("/etc/resolv.conf")}
    Machine(tmp_path, files, {"PIP_INDEX_URL": "https://mirror.example/simple"}).type("make serve", folder="gatepost")
    (line,) = entered
    assert "setpriv --reuid=1000 --regid=1000 --clear-groups --no-new-privs env --ignore-environment" in line
    assert line.endswith(
        f"--chdir={HOME}/gatepost HOME={HOME} LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin TERM=dumb NO_COLOR=1 "
        "PIP_INDEX_URL=https://mirror.example/simple /bin/bash -c 'make serve'"
    )


@pytest.mark.parametrize("command", [run, image_steps], ids=["newcomer", "image-steps"])
def test_what_a_clean_root_needs_is_named_where_it_is_missing(
    command: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tools.image.chroot.missing_tools", lambda: ["debootstrap", "root"])
    assert command.main([]) == 1  # type: ignore[attr-defined] # a module
    assert capsys.readouterr().out == "This needs debootstrap, root.\n"


@pytest.mark.parametrize("page", [run.PAGE, image_steps.PAGE], ids=["newcomer", "image-steps"])
def test_a_page_about_a_clean_root_says_when_it_was_run(page: Path) -> None:
    name = "newcomer" if page == run.PAGE else "image-steps"
    begin, end = markers(name)
    written = page.read_text(encoding="utf-8").partition(begin)[2].partition(end)[0]
    assert re.search(r"\b2\d{3}-\d\d-\d\d\b", written)


@pytest.mark.parametrize(
    ("typed", "page"),
    [
        ("make serve", "README.md"),
        ("pip install gatepost", "docs/start.md"),
        ("gatepost init notes", "docs/start.md"),
        ("gatepost token mint", "docs/start.md"),
    ],
)
def test_what_a_newcomer_types_stands_in_the_documentation(typed: str, page: str) -> None:
    assert typed in (ROOT / page).read_text(encoding="utf-8")
    assert typed in Path(ways.__file__).read_text(encoding="utf-8")
    times = run.PAGE.read_text(encoding="utf-8")
    assert [line for line in TYPED.findall(times) if typed in line] != []
