"""Whose a name is, of several servers behind one endpoint: that with the longest prefix that the name begins with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from gatepost.late_dataclass import dataclass

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Named(Generic[P]):
    """What a name leads to."""

    part: P
    bare: str
    """What the server itself calls it."""


class Names(Generic[P]):
    """The names of several servers.

    Args:
        parts: by prefix; the empty one for names without.
        keeps_prefix: says of a server whether its names have their prefix already.
    """

    def __init__(self, parts: Mapping[str, P], keeps_prefix: frozenset[str] = frozenset()) -> None:
        self._plain = parts.get("")
        prefixed = {f"{prefix}_": (part, prefix in keeps_prefix) for prefix, part in parts.items() if prefix}
        # github_enterprise_search is github_enterprise's, whatever github has.
        self._prefixed = sorted(prefixed.items(), key=lambda each: -len(each[0]))

    def find(self, name: str) -> Named[P] | None:
        """Return what a name leads to; None for one that leads nowhere."""
        for start, (part, is_kept) in self._prefixed:
            if name.startswith(start):
                return Named(part, name if is_kept else name[len(start) :])
        return None if self._plain is None else Named(self._plain, name)
