"""What Sphinx and its theme leave out for people who use a keyboard or a screen reader, put into the built pages.

Each line of the table is an objection of axe-core (`make docs-look`) to pages as they are built.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_MENDED: Final = (
    # What scrolls can be reached by the keyboard.
    ("<pre>", '<pre tabindex="0">'),
    ('<div class="table-wrapper', '<div tabindex="0" class="table-wrapper'),
    # A heading says its level, and two landmarks of one kind say which they are.
    ('<p class="caption" role="heading">', '<p class="caption" role="heading" aria-level="2">'),
    ('<aside class="sidebar-drawer"', '<aside aria-label="All pages" class="sidebar-drawer"'),
    ('<aside class="toc-drawer', '<aside aria-label="On this page" class="toc-drawer'),
    # The corner of a table is no heading.
    ('<th class="head"><p></p></th>', "<td></td>"),
)
_PARAMETERS: Final = re.compile(r"<dl>\n((?:<dd>.*</dd>\n)+)</dl>")
"""The parameters of a signature that has many: a list of definitions without a term."""


def mended(html: str) -> str:
    """Return the page with what is missing."""
    for plain, better in _MENDED:
        html = html.replace(plain, better)
    return _PARAMETERS.sub(_as_lines, html)


def _as_lines(match: re.Match[str]) -> str:
    lines = match[1].replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>")
    return f'<span class="sig-lines">\n{lines}</span>'


def mend(site: Path) -> None:
    """Put what is missing into each page of a built site."""
    for page in site.rglob("*.html"):
        page.write_text(mended(page.read_text(encoding="utf-8")), encoding="utf-8")
