"""The build context: which files of a folder the builder is given, by its `.dockerignore`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path


def files_in(folder: Path, ignore: str) -> Iterator[Path]:
    """Yield the files of the context as paths relative to the folder, in order.

    Args:
        folder: the root of the context.
        ignore: the text of `.dockerignore`: patterns of which the last that fits counts; `!` takes something back in.
    """
    rules = [(line.removeprefix("!"), line.startswith("!")) for line in _lines(ignore)]
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and _is_in(relative, rules):
            yield relative


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _is_in(relative: Path, rules: list[tuple[str, bool]]) -> bool:
    names = [part.as_posix() for part in (relative, *relative.parents)]
    is_in = True
    for pattern, takes_in in rules:
        if any(_pattern(pattern).fullmatch(name) for name in names):
            is_in = takes_in
    return is_in


def _pattern(pattern: str) -> re.Pattern[str]:
    """A pattern of `.dockerignore`: `*` stays in a folder, `**/` is any number of folders."""
    parts = (re.escape(part).replace(r"\*", "[^/]*") for part in pattern.split("**/"))
    return re.compile("(?:.*/)?".join(parts))
