"""For how long a fetched document may be kept: what its server says, inside our bounds (RFC 9111 sections 4.2 and 5.2).

Section 5.2 of the draft on client metadata documents lets a server set bounds of its own. The lower one keeps a
document that forbids caching from being fetched for every single request; the upper one lets a change, such as a new
key, arrive within a day.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

SHORTEST: Final = 60
"""Seconds."""
LONGEST: Final = 24 * 3600
"""Seconds."""
UNSAID: Final = 3600
"""Seconds, when the server says nothing."""

_DIRECTIVE: Final = re.compile(r"([a-z-]+)(?:=\"?([0-9]+)\"?)?(?=[ \t]*(?:,|$))")
_DIGITS: Final = re.compile(r"[0-9]{1,10}")


def document_lifetime(headers: Mapping[str, str]) -> int:
    """Return how many seconds from now a document with these response headers counts as fresh."""
    cache_control = headers.get("cache-control")
    if cache_control is None:
        return UNSAID
    directives = dict(_DIRECTIVE.findall(cache_control.lower()))
    if "no-store" in directives or "no-cache" in directives:
        return SHORTEST
    # This is a shared cache: s-maxage comes first (RFC 9111 section 5.2.2.10).
    stated = directives.get("s-maxage") or directives.get("max-age")
    if not stated:
        return UNSAID
    age = headers.get("age", "")
    spent = int(age) if _DIGITS.fullmatch(age) else 0
    return min(max(int(stated[:10]) - spent, SHORTEST), LONGEST)
