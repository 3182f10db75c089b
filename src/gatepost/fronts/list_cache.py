"""Lists of one session with a server, kept for as long as the server says (2026-07-28 server/utilities/caching).

A session is of one user, or of everybody where the server cannot tell users apart, so nobody is shown another's. A list
without `ttlMs` is not kept: servers change theirs without a word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from gatepost.fronts.changes import KIND_OF
from gatepost.fronts.raw_json import members_of, object_of
from gatepost.late_dataclass import dataclass
from gatepost.server.changes.bus import Change, ChangeKind

LARGEST: Final = 512 * 1024
"""Bytes of all that is kept of one session."""
LONGEST: Final = 3600.0
"""Seconds for which a list is kept at most, whatever the server says."""
_TIME: Final = "ttlMs"
_IN_QUESTION: Final = frozenset({"cursor", "_meta"})


@dataclass(frozen=True, slots=True)
class _Kept:
    raw: bytes
    since: float
    milliseconds: int


@dataclass(slots=True, eq=False)
class ListCache:
    """The pages that are kept, by method and cursor. Times are of one monotonic clock, in seconds."""

    _pages: dict[tuple[str, Any], _Kept] = field(default_factory=dict[tuple[str, Any], _Kept], init=False)
    _size: int = field(default=0, init=False)
    _generations: Counter[str] = field(default_factory=Counter[str], init=False)
    """How often each kind of list has changed."""

    def find(self, method: str, params: Mapping[str, Any], now: float) -> bytes | None:
        """Return a page that counts, with the time that is left of what it counts for; None if there is none."""
        kept = self._pages.get((method, params.get("cursor"))) if _is_plain(params) else None
        if kept is None:
            return None
        left = kept.milliseconds - int((now - kept.since) * 1000)
        if left <= 0 or now - kept.since >= LONGEST:
            self._drop((method, params.get("cursor")))
            return None
        return object_of({**members_of(kept.raw.decode()), _TIME: str(left)}).encode()

    def generation(self, method: str) -> int:
        """Return what `keep` takes, before a page is asked for."""
        return self._generations[KIND_OF[method]]

    def keep(self, method: str, params: Mapping[str, Any], raw: bytes, *, generation: int, now: float) -> None:
        """Keep a page if it counts for any time, and has not changed since it was asked for."""
        if b'"ttlMs"' not in raw or not _is_plain(params) or generation != self.generation(method):
            return
        try:
            milliseconds = int(members_of(raw.decode()).get(_TIME, "0"))
        except (ValueError, RecursionError):
            return
        if milliseconds <= 0 or self._size + len(raw) > LARGEST:
            return
        key = method, params.get("cursor")
        self._drop(key)
        self._pages[key] = _Kept(raw, now, milliseconds)
        self._size += len(raw)

    def forget(self, kind: ChangeKind) -> None:
        """Forget the lists of a kind: they have changed, or a client has reason to think so."""
        self._generations[kind] += 1
        for key in [key for key in self._pages if KIND_OF[key[0]] == kind]:
            self._drop(key)

    def on_change(self, change: Change) -> None:
        """Take a change that the server has spoken of."""
        self.forget(change.kind)

    def _drop(self, key: tuple[str, Any]) -> None:
        kept = self._pages.pop(key, None)
        if kept is not None:
            self._size -= len(kept.raw)


def _is_plain(params: Mapping[str, Any]) -> bool:
    """Say whether nothing but a cursor says which page is meant."""
    cursor = params.get("cursor")
    return params.keys() <= _IN_QUESTION and (cursor is None or type(cursor) is str)
