"""What the lists of the admin pages have in common: pages of one size, and paths with parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar
from urllib.parse import urlencode

from gatepost.oauth.reasons import Reason
from gatepost.web.pages.rendering import PageLink, PageRefusal
from gatepost.wording.phrase import Phrase

T = TypeVar("T")

PAGE: Final = 50
"""Rows on one page."""
_MOST_DIGITS: Final = 15


def path(page: str, **parameters: str | None) -> str:
    """Return the path of a page with those parameters that are something."""
    given = {name: value for name, value in parameters.items() if value}
    return f"{page}?{urlencode(given)}" if given else page


def cut(rows: Sequence[T]) -> tuple[Sequence[T], bool]:
    """Return one page of rows, of which `PAGE` + 1 were asked for, and whether there are more."""
    return rows[:PAGE], len(rows) > PAGE


def place_of(after: str) -> tuple[int, str] | None:
    """Return where a page goes on that is sorted by time and identifier; None at the beginning."""
    at, separator, identifier = after.partition(".")
    is_place = separator and at.isascii() and at.isdigit() and len(at) <= _MOST_DIGITS
    return (int(at), identifier) if is_place else None


def unknown(back: str) -> PageRefusal:
    """Return what is said of somebody or something that there is not."""
    return PageRefusal(
        Reason.ADMIN_TARGET_UNKNOWN,
        status=404,
        title=Phrase("There is nothing here"),
        message=Phrase("What this page was about does not exist, or not any more."),
        link=PageLink(back, Phrase("Back to the list")),
    )
