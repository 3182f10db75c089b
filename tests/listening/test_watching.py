"""Which files a server is made of, and that a change of one is noticed."""

from __future__ import annotations

import selectors
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.listening import watching
from gatepost.listening.watching import FileWatch

BOUND = 60


def next_changes(watch: FileWatch) -> list[Path]:
    """Wait until something has changed."""
    with selectors.DefaultSelector() as selector:
        selector.register(watch.socket, selectors.EVENT_READ)
        assert selector.select(BOUND), "no change was noticed"
    return watch.changes()


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[FileWatch]:
    made = FileWatch([tmp_path])
    yield made
    made.close()


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("notes.py", True),
        ("settings.toml", True),
        (".env", True),
        (".env.local", True),
        ("page.html", True),
        ("page.jinja2", True),
        ("notes.db", False),
        ("notes.pyc", False),
        (".notes.py.swp", False),
        (".#notes.py", False),
        ("notes.json", False),
    ],
)
def test_code_settings_and_templates_count_and_what_is_written_beside_does_not(
    watch: FileWatch, tmp_path: Path, name: str, counts: bool
) -> None:
    assert watch.counts(tmp_path / name) is counts


def test_what_was_chosen_counts_whatever_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    watch = FileWatch([], [tmp_path / "data", tmp_path / "list.json"])
    found = [watch.counts(tmp_path / name) for name in ("data/deep/rows.csv", "list.json", "other.json")]
    watch.close()
    assert found == [True, True, False]


def test_folders_of_other_code_and_of_programs_are_passed_by(watch: FileWatch, tmp_path: Path) -> None:
    for name in ("pages/parts", ".venv/lib", "node_modules/left", ".git/objects", "__pycache__", "venv"):
        (tmp_path / name).mkdir(parents=True)
    assert watch.folders == [tmp_path, tmp_path / "pages", tmp_path / "pages/parts"]


def test_no_more_folders_are_watched_than_a_system_has_room_for(
    watch: FileWatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "MOST_FOLDERS", 3)
    for number in range(5):
        (tmp_path / f"part{number}").mkdir()
    assert watch.folders == [tmp_path, tmp_path / "part0", tmp_path / "part1"]


def test_a_change_is_told_once_and_changes_of_other_files_are_not(watch: FileWatch, tmp_path: Path) -> None:
    watch.add(())
    (tmp_path / "notes.db").write_text("data")
    (tmp_path / "notes.py").write_text("code")
    assert next_changes(watch) == [tmp_path / "notes.py"]
    assert watch.changes() == []


def test_a_file_in_a_folder_that_is_new_counts_and_its_later_changes_too(watch: FileWatch, tmp_path: Path) -> None:
    watch.add(())
    package = tmp_path / "package"
    package.mkdir()
    (package / "code.py").write_text("first")
    assert next_changes(watch)[-1] == package / "code.py"
    (package / "code.py").write_text("second")
    assert next_changes(watch) == [package / "code.py"]


def test_folders_of_loaded_modules_are_watched_by_themselves(watch: FileWatch, tmp_path: Path) -> None:
    elsewhere = tmp_path / ".hidden" / "library"
    (elsewhere / "inner").mkdir(parents=True)
    watch.add([elsewhere])
    assert watch.folders == [tmp_path, elsewhere]
    (elsewhere / "code.py").write_text("code")
    assert next_changes(watch) == [elsewhere / "code.py"]


def test_a_root_that_cannot_be_read_is_no_error(tmp_path: Path) -> None:
    watch = FileWatch([tmp_path / "gone"])
    watch.add(())
    assert watch.folders == [tmp_path / "gone"]
    watch.close()
