"""Gate: no Python file above 400 lines, no function above 60.

A function counts from its `def` line (decorators left out) to its last line, docstring and nested functions included.

A concern is not cut to satisfy a number: a file that is one concern and longer stands in `length_exceptions.toml` with
its own limit and the reason. An exception that nothing needs any more, or that gives no reason, fails the gate too.

    python tools/length_gate.py src tools examples
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

FILE_LIMIT = 400
FUNCTION_LIMIT = 60
MOST_EXCEPTIONS = 8
"""A longer list would say that the limit is wrong."""
EXCEPTIONS = Path(__file__).with_name("length_exceptions.toml")


def main(arguments: list[str], exceptions: Path = EXCEPTIONS) -> int:
    """Print one line for each offence in the files and folders named; return 1 if there is any, else 0."""
    paths = sorted(path for argument in arguments for path in python_files(Path(argument)))
    limits, offences = read_exceptions(exceptions)
    offences += [offence for path in paths for offence in too_long(path, limits.get(path.as_posix(), FILE_LIMIT))]
    for offence in offences:
        print(offence)
    print(f"{len(paths)} files, {len(offences)} too long or with functions too long")
    return 1 if offences or not paths else 0


def python_files(path: Path) -> Iterator[Path]:
    """Yield `path` itself if it is a file, else the Python files below it."""
    if path.is_dir():
        yield from path.rglob("*.py")
    else:
        yield path


def read_exceptions(listed: Path) -> tuple[Mapping[str, int], list[str]]:
    """Return which files may have how many lines, and a sentence for each thing that is wrong with the list.

    Args:
        listed: a TOML file with tables `[[exception]]` of `file` (as the gate is given it), `lines` and `reason`.
    """
    entries = tomllib.loads(listed.read_text(encoding="utf-8")).get("exception", []) if listed.exists() else []
    wrong = [f"{listed}: {len(entries)} exceptions, above {MOST_EXCEPTIONS}"] if len(entries) > MOST_EXCEPTIONS else []
    for entry in entries:
        path = Path(entry["file"])
        if len(entry.get("reason", "").split()) < 5:  # noqa: PLR2004 - fewer words give no reason
            wrong.append(f"{listed}: {path} gives no reason")
        if not path.exists() or len(path.read_text(encoding="utf-8").splitlines()) <= FILE_LIMIT:
            wrong.append(f"{listed}: {path} needs no exception")
    return {entry["file"]: entry["lines"] for entry in entries}, wrong


def too_long(path: Path, limit: int = FILE_LIMIT) -> Iterator[str]:
    """Yield a sentence for the file if it is above `limit` lines, and for each of its functions that is too long."""
    source = path.read_text(encoding="utf-8")
    if (lines := len(source.splitlines())) > limit:
        yield f"{path}: the file has {lines} lines, above {limit}"
    for node in ast.walk(ast.parse(source, filename=str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LIMIT:
                yield f"{path}:{node.lineno}: {node.name} has {lines} lines, above {FUNCTION_LIMIT}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
