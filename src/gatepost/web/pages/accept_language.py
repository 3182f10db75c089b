"""Which language a browser is answered in (RFC 9110 section 12.5.4, RFC 4647 sections 3.3.1 and 3.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

_RANGE: Final = re.compile(
    r"(?P<range>\*|[a-z]{1,8}(?:-[a-z0-9]{1,8})*)(?:[ \t]*;[ \t]*q=(?P<quality>0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?",
    re.IGNORECASE | re.ASCII,
)
_MOST: Final = 32
"""Languages of a browser that are looked at."""


def preferred_language(header: str, available: Sequence[str]) -> str:
    """Return the one of the `available` languages that the browser likes best.

    Args:
        header: the value of `Accept-Language`; what is malformed in it is passed over.
        available: language tags, such as `de`; the first is what a browser gets that likes none of them.
    """
    ranges = sorted(_ranges(header), key=lambda each: -each[1])
    refused = {wanted for wanted, quality in ranges if quality == 0}
    for wanted, quality in ranges:
        if quality == 0:
            break
        found = _lookup(wanted, [tag for tag in available if tag.lower() not in refused])
        if found is not None:
            return found
    return available[0]


def _ranges(header: str) -> Iterator[tuple[str, float]]:
    for member in header.split(",")[:_MOST]:
        match = _RANGE.fullmatch(member.strip(" \t"))
        if match is not None:
            yield match["range"].lower(), float(match["quality"] or 1)


def _lookup(wanted: str, available: Sequence[str]) -> str | None:
    """Return what fits a range best: itself, else a more general tag, else a more special one."""
    if wanted == "*":
        return next(iter(available), None)
    tags = {tag.lower(): tag for tag in reversed(available)}
    general = wanted
    while general:
        if general in tags:
            return tags[general]
        # RFC 4647 section 3.4: a single letter or digit introduces what follows, and goes with it.
        general = re.sub(r"-[^-]+$", "", general) if "-" in general else ""
        general = re.sub(r"-[a-z0-9]$", "", general)
    return next((tag for lowered, tag in tags.items() if lowered.startswith(f"{wanted}-")), None)
