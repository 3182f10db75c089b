"""The length gate finds what is too long and says where."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import length_gate


def function(lines: int, *, indent: str = "") -> str:
    """A function of that many lines, its `def` line included."""
    return f"{indent}def work() -> None:\n" + f"{indent}    pass\n" * (lines - 1)


def test_files_and_functions_at_the_limit_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fits.py").write_text(function(60) + "\n" * 340)

    assert length_gate.main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == "1 files, 0 too long or with functions too long\n"


def test_a_file_above_400_lines_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "package" / "long.py"
    path.parent.mkdir()
    path.write_text("\n" * 401)

    assert length_gate.main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.startswith(f"{path}: the file has 401 lines, above 400\n")


def test_a_function_above_60_lines_is_named_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "long.py"
    path.write_text("import os\n" + function(61))

    assert length_gate.main([str(path)]) == 1
    assert capsys.readouterr().out.startswith(f"{path}:2: work has 61 lines, above 60\n")


def test_methods_coroutines_and_functions_that_only_enclose_count_too(tmp_path: Path) -> None:
    path = tmp_path / "nested.py"
    path.write_text(
        "class Box:\n"
        + function(61, indent="    ")
        + "async "
        + function(61)
        + "def outer() -> None:\n"
        + function(60, indent="    ")
    )

    assert [offence.partition(": ")[2] for offence in length_gate.too_long(path)] == [
        "work has 61 lines, above 60",
        "outer has 61 lines, above 60",
        "work has 61 lines, above 60",
    ]


def test_decorators_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "decorated.py"
    path.write_text("@property\n" * 10 + function(60))

    assert list(length_gate.too_long(path)) == []


def test_finding_no_file_at_all_is_a_failure(tmp_path: Path) -> None:
    assert length_gate.main([str(tmp_path)]) == 1


def exceptions(tmp_path: Path, file: Path, *, lines: int = 450, reason: str = "one table of one state machine") -> Path:
    listed = tmp_path / "exceptions.toml"
    listed.write_text(f'[[exception]]\nfile = "{file}"\nlines = {lines}\nreason = "{reason}"\n')
    return listed


def test_a_file_on_the_list_of_exceptions_has_its_own_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "long.py"
    path.write_text("\n" * 450)
    assert length_gate.main([str(path)], exceptions(tmp_path, path)) == 0

    path.write_text("\n" * 451)
    assert length_gate.main([str(path)], exceptions(tmp_path, path)) == 1
    assert f"{path}: the file has 451 lines, above 450\n" in capsys.readouterr().out


@pytest.mark.parametrize(("lines", "reason", "words"), [(401, "too long", "gives no reason"), (400, "", "needs no")])
def test_an_exception_without_a_reason_or_a_need_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: int, reason: str, words: str
) -> None:
    path = tmp_path / "long.py"
    path.write_text("\n" * lines)

    assert length_gate.main([str(path)], exceptions(tmp_path, path, reason=reason)) == 1
    assert words in capsys.readouterr().out


def test_a_long_list_of_exceptions_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "long.py"
    path.write_text("\n" * 401)
    listed = exceptions(tmp_path, path)
    listed.write_text(listed.read_text() * 9)

    assert length_gate.main([str(path)], listed) == 1
    assert "9 exceptions, above 8" in capsys.readouterr().out
