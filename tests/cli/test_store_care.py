"""`gatepost store status|migrate|check|export|import`: what they print, and what is there when they end."""

from __future__ import annotations

import array
import asyncio
import fcntl
import io
import json
import os
import re
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from gatepost.cli.main import main
from gatepost.stores.care.state import KNOWN_VERSION
from gatepost.stores.sql.sqlite import file_store
from tests.stores.care.conftest import NewPlace, new_place
from tests.stores.care.filled import OLD, fill
from tests.stores.care.places import make_older, rows_of, run_in

__all__ = ["new_place"]
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The URL of the store that commands use."""
    monkeypatch.chdir(tmp_path)
    return use(tmp_path / "one" / "gatepost.db", monkeypatch)


def use(database: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MCP_STORAGE_URL", f"sqlite:///{database}")
    return f"sqlite:///{database}"


@pytest.fixture
def filled(url: str) -> str:
    """The URL of a store that holds something of everything."""

    async def make() -> None:
        store = file_store(Path(url.removeprefix("sqlite:///")))
        await store.open()
        await fill(store)
        await store.close()

    asyncio.run(make())
    return url


def run(*arguments: str) -> int:
    return main(["store", *arguments])


def test_status_says_what_there_is(filled: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("status") == 0

    lines = capsys.readouterr().out.splitlines()
    said = {line[:18].strip(): line[18:] for line in lines}
    assert said["store"] == filled.removeprefix("sqlite:///")
    assert said["schema"] == f"{KNOWN_VERSION}, as this Gatepost has it"
    assert (said["people"], said["grants"], said["MCP sessions"]) == ("2", "2", "1")
    assert run("status", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["state"], found["is_migration_due"], found["rows"]["users"]) == ("current", False, 2)


@pytest.mark.parametrize(
    ("version", "oldest_code", "exit_code", "sentence"),
    [
        (13, 13, 0, f"13; {KNOWN_VERSION} is due: gatepost store migrate, or a server's start"),
        (1000, 13, 0, f"1000; this Gatepost knows versions up to {KNOWN_VERSION}, and works with this one"),
        (1000, 1000, 1, f"1000; this Gatepost knows versions up to {KNOWN_VERSION}, and not this one"),
    ],
)
def test_status_says_how_the_schema_stands_to_this_gatepost(
    filled: str, capsys: pytest.CaptureFixture[str], version: int, oldest_code: int, exit_code: int, sentence: str
) -> None:
    run_in(filled, f"UPDATE schema_version SET version = {version}, oldest_code = {oldest_code}")  # noqa: S608 - numbers

    assert run("status") == exit_code

    said = capsys.readouterr()
    assert sentence in said.out
    assert ("use the one that migrated the store" in said.err) == (exit_code == 1)


def test_migrate_makes_a_store_and_then_finds_it(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    place = url.removeprefix("sqlite:///")
    assert run("status") == 1
    assert run("migrate") == 0
    assert run("migrate") == 0

    assert capsys.readouterr().out.splitlines() == [
        f"Made the store {place} with schema version {KNOWN_VERSION}.",
        f"The store {place} has schema version {KNOWN_VERSION} already.",
    ]
    assert Path(place).stat().st_mode & 0o777 == 0o600


def test_migrate_says_from_where_to_where(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(make_older(url, 13))

    assert run("migrate") == 0

    place = url.removeprefix("sqlite:///")
    expected = f"Migrated the store {place} from schema version 13 to {KNOWN_VERSION}.\n"
    assert capsys.readouterr().out == expected


def test_check_finds_nothing_wrong_and_opens_what_the_keys_open(
    filled: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MCP_SEALING_KEYS", OLD)

    assert run("check") == 0

    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == "Nothing is wrong."
    assert said.err == ""
    assert run("check", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["is_sound"], report["problems"], report["not_asked"]) == (True, [], [])
    assert {"name": "grants", "rows": 2, "oldest": 1_800_000_000, "newest": 1_800_000_000} in report["tables"]
    assert filled


def test_check_says_each_problem_and_fails(filled: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_in(filled, "UPDATE passkeys SET subject = 'nobody'")

    assert run("check") == 1
    assert capsys.readouterr().err == "gatepost: passkeys.subject names no row of users: 1.\n"
    assert run("check", "--json") == 1
    said = capsys.readouterr().out
    assert json.loads(said)["problems"] == ["passkeys.subject names no row of users: 1"]
    assert not list(Path(filled.removeprefix("sqlite:///")).parent.glob("*.key")), "no key is made for looking"


def test_an_export_is_private_and_imports_elsewhere_without_access(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "export.jsonl"
    assert run("export", str(file)) == 0
    said = capsys.readouterr()
    assert f"rows of the store {filled.removeprefix('sqlite:///')} to {file}." in said.out
    assert said.err == "", "no progress in a pipe"
    assert file.stat().st_mode & 0o777 == 0o600
    target = use(tmp_path / "two" / "gatepost.db", monkeypatch)

    assert run("import", str(file)) == 0

    said = capsys.readouterr()
    assert re.search(r"grants +1\n", said.out)
    assert list(rows_of(target, "SELECT count(*) FROM grants WHERE revoked_at IS NULL")) == [(0,)]
    assert events(capsys) == {"login", "store_imported", "all_revoked"}
    assert run("import", str(file)) == 1
    assert "holds rows already" in capsys.readouterr().err


def test_access_is_kept_where_that_is_asked_for(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export", "export.jsonl") == 0
    target = use(tmp_path / "two" / "gatepost.db", monkeypatch)

    assert run("import", "--keep-access", "export.jsonl") == 0

    assert "ENDED" not in capsys.readouterr().out
    live = "SELECT count(*) FROM grants WHERE revoked_at IS NULL"
    assert rows_of(target, live) == rows_of(filled, live) == [(1,)]
    assert events(capsys) == {"login", "store_imported"}


def test_streams_take_the_place_of_files(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run("export", "-") == 0
    lines = capsysbinary.readouterr().out
    assert lines.startswith(b'{"gatepost_export":1,')
    target = use(tmp_path / "two" / "gatepost.db", monkeypatch)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(lines)))

    assert run("import", "--keep-access", "-") == 0

    users = "SELECT subject FROM users ORDER BY subject"
    assert rows_of(target, users) == rows_of(filled, users)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.usefixtures("filled")
def test_a_terminal_sees_how_far_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    assert run("export", "export.jsonl") == 0
    assert terminal.getvalue().endswith("\r100 %\n")
    use(tmp_path / "two" / "gatepost.db", monkeypatch)
    assert run("import", "export.jsonl") == 0
    assert terminal.getvalue().count("\r100 %\n") == 2


def test_a_file_that_exists_is_not_replaced_and_one_that_is_missing_is_said(
    filled: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "export.jsonl").write_text("mine")

    assert run("export", "export.jsonl") == 1
    assert "exists already, and is not replaced" in capsys.readouterr().err
    assert run("import", "none.jsonl") == 1
    assert capsys.readouterr().err == "gatepost: none.jsonl cannot be read: No such file or directory.\n"
    run_in(filled, "UPDATE schema_version SET version = 13")
    assert run("export", "other.jsonl") == 1
    assert "exports version" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export.jsonl", "one"]


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_an_import_that_is_killed_leaves_nothing_and_can_be_done_again(
    filled: str,
    tmp_path: Path,
    new_place: NewPlace,
    backend: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("export", "export.jsonl") == 0
    lines = (tmp_path / "export.jsonl").read_bytes()
    target = new_place(backend)
    monkeypatch.setenv("MCP_STORAGE_URL", target)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    with subprocess.Popen(
        [sys.executable, "-m", "gatepost", "store", "import", "-"], stdin=subprocess.PIPE, env=environment, cwd=ROOT
    ) as process:
        assert process.stdin is not None
        # All rows, and an end that never comes; the pipe is empty when they were taken.
        process.stdin.write(lines[:-10])
        process.stdin.flush()
        wait_until_read(process.stdin.fileno())
        process.send_signal(signal.SIGKILL)

    capsys.readouterr()
    assert run("status", "--json") in {0, 1}
    said = capsys.readouterr().out
    assert not said or json.loads(said)["state"] == "empty"
    assert run("import", "--keep-access", "export.jsonl") == 0
    subjects = "SELECT subject FROM users ORDER BY subject"
    assert rows_of(target, subjects) == rows_of(filled, subjects)


def wait_until_read(pipe: int) -> None:
    """Return when a pipe is empty."""
    end = time.monotonic() + 60
    waiting = array.array("i", [1])
    while waiting[0]:
        assert time.monotonic() < end
        fcntl.ioctl(pipe, termios.FIONREAD, waiting)
        time.sleep(0.01)


def events(capsys: pytest.CaptureFixture[str]) -> set[str]:
    capsys.readouterr()
    assert main(["audit", "--json"]) == 0
    return {json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()}


@pytest.mark.parametrize("action", [["status"], ["migrate"], ["check"], ["export", "a"], ["import", "a"]])
def test_a_memory_store_is_not_looked_after_from_the_terminal(
    action: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MCP_STORAGE_URL", "memory:")

    assert run(*action) == 2
    assert "lives inside the server process" in capsys.readouterr().err
