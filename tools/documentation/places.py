"""Where each file of the repository stands on the site.

`docs/` is the root of the site. Whatever else its pages link to has its place below `repository/`: other Markdown as a
page, a picture as it is, any other file as a page that shows it.
"""

from __future__ import annotations

import posixpath
from pathlib import Path, PurePosixPath
from typing import Final

PICTURES: Final = frozenset({".svg", ".png", ".jpg", ".gif", ".webp"})
_INDEXES: Final = ("README.md", "index.md")


def place_of(path: PurePosixPath) -> PurePosixPath:
    """Return the place on the site of a file of the repository, both relative.

    The README of a folder of pages is its index.
    """
    below_docs = path.parts[0] == "docs"
    there = PurePosixPath(*path.parts[1:]) if below_docs else PurePosixPath("repository", path)
    if below_docs and path.name == "README.md":
        return there.with_name("index.md")
    if path.suffix == ".md" or path.suffix in PICTURES:
        return there
    return there.with_name(f"{there.name}.md")


def resolved(page: PurePosixPath, target: str) -> PurePosixPath:
    """Return which file of the repository a link leads to, without its anchor."""
    path = target.partition("#")[0]
    return PurePosixPath(posixpath.normpath(posixpath.join(page.parent.as_posix(), path)))


def file_of(root: Path, path: PurePosixPath) -> PurePosixPath | None:
    """Return the file that a link to this path means: of a folder its README or index; None if there is none."""
    if (root / path).is_file():
        return path
    for name in _INDEXES:
        if (root / path / name).is_file():
            return path / name
    return None


def relative(page: PurePosixPath, there: PurePosixPath) -> str:
    """Return how a page of the site links to another."""
    return posixpath.relpath(there.as_posix(), page.parent.as_posix())
