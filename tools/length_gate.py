"""Gate: no Python file above 400 lines, no function above 60.

A function counts from its `def` line (decorators left out) to its last line, docstring and nested functions included.

    python tools/length_gate.py src tools examples
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LIMIT = 400
FUNCTION_LIMIT = 60


def main(arguments: list[str]) -> int:
    """Print one line for each offence in the files and folders named; return 1 if there is any, else 0."""
    paths = sorted(path for argument in arguments for path in python_files(Path(argument)))
    offences = [offence for path in paths for offence in too_long(path)]
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


def too_long(path: Path) -> Iterator[str]:
    """Yield a sentence for the file and for each of its functions that is above the limit."""
    source = path.read_text(encoding="utf-8")
    if (lines := len(source.splitlines())) > FILE_LIMIT:
        yield f"{path}: the file has {lines} lines, above {FILE_LIMIT}"
    for node in ast.walk(ast.parse(source, filename=str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LIMIT:
                yield f"{path}:{node.lineno}: {node.name} has {lines} lines, above {FUNCTION_LIMIT}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
