"""The table of contents: it follows from the lists of links in the indexes, which readers see on a code host too.

In `docs/index.md` each heading with a list of links is a part; the index of a folder (`index.md` or `README.md`) has
the pages below that folder, first those that it links to. A page that nothing leads to is a mistake.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

from tools.documentation.markdown import headings, links, prose
from tools.documentation.places import resolved

ROOT: Final = PurePosixPath("index.md")
FILES: Final = PurePosixPath("repository/index.md")
"""The list of files that pages link to; it ends the last part."""
_PART_DEPTH: Final = 2


def toctree(pages: list[PurePosixPath], *, below: PurePosixPath, caption: str = "") -> str:
    """Return a hidden table of contents of these pages, for a page in the folder `below`."""
    head = ["", "```{toctree}", ":hidden:", *([f":caption: {caption}"] if caption else []), ""]
    entries = [page.relative_to(below).with_suffix("").as_posix() for page in pages]
    return "\n".join([*head, *entries, "```", ""])


def parts(index: str) -> Iterator[tuple[str, list[PurePosixPath]]]:
    """Yield each heading of the first page with the pages that the lists below it link to, each page once."""
    begins = [(number, words) for number, depth, words in headings(index) if depth == _PART_DEPTH]
    ends = [number for number, _ in begins[1:]] + [len(index.splitlines())]
    items = {number for number, line in prose(index) if line.lstrip().startswith(("- ", "| ", "1. "))}
    seen: set[PurePosixPath] = set()
    for (begin, words), end in zip(begins, ends, strict=True):
        pages = []
        for number, target in links(index):
            page = resolved(ROOT, target)
            if begin < number < end and number in items and page.suffix == ".md" and page not in seen:
                pages.append(page)
                seen.add(page)
        if pages:
            yield words, pages


def in_folder(index: PurePosixPath, texts: Mapping[PurePosixPath, str]) -> list[PurePosixPath]:
    """Return the pages below the folder of this index: first as it links to them, then the rest by name."""
    here = {page for page in texts if page.is_relative_to(index.parent)} - {index}
    linked = dict.fromkeys(page for _, target in links(texts[index]) if (page := resolved(index, target)) in here)
    return [*linked, *sorted(here - set(linked))]


def with_contents(texts: Mapping[PurePosixPath, str]) -> dict[PurePosixPath, str]:
    """Return the pages of the site, the indexes with their tables of contents.

    Raises:
        LookupError: There are pages that no index leads to; they are named.
    """
    result = dict(texts)
    reached = {ROOT}
    of_parts = list(parts(texts[ROOT]))
    of_parts[-1][1].append(FILES)
    for caption, pages in of_parts:
        result[ROOT] += toctree(pages, below=PurePosixPath(), caption=caption)
        reached.update(pages)
    # The deepest first: a page belongs to the nearest index above it.
    for index in sorted(texts, key=lambda page: -len(page.parts)):
        if index.name == "index.md" and index != ROOT:
            pages = [page for page in in_folder(index, texts) if page not in reached]
            reached.update(pages)
            if pages:
                result[index] += toctree(pages, below=index.parent)
    lost = sorted(page.as_posix() for page in texts if page not in reached)
    if lost:
        raise LookupError(f"No index leads to {', '.join(lost)}: add a line to a list in docs/index.md.")
    return result
