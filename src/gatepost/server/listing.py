"""Pagination of lists: tools, resources, resource templates and prompts (MCP server/utilities/pagination and caching).

A list is serialised once for each revision and set of scopes that callers really have. A cursor is a digest of the
whole list and the page's number: it is the same in every process and after a restart, it says nothing, and it is
unknown as soon as the list is another one. Then the client has to begin again, which the specification allows for.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from hashlib import blake2b
from typing import Any, Final, TypeVar

import orjson

from gatepost.late_dataclass import dataclass
from gatepost.protocol.errors import InvalidParams
from gatepost.protocol.json_encoding import encode
from gatepost.protocol.modern import LIST_FRESHNESS_MS, finish_result
from gatepost.protocol.versions import Revision
from gatepost.server.declared.declaration import Declaration
from gatepost.server.registry import Registry

_MOST_LISTS: Final = 64
"""How many serialised lists are kept: one per revision and set of scopes that callers really have."""
_CURSOR_BYTES: Final = 15
_UNKNOWN_CURSOR: Final = "This cursor is not one of this list as it is now; list from the beginning."
_EMPTY: Final[frozenset[str]] = frozenset()

T = TypeVar("T")

Pages = dict[str | None, orjson.Fragment]
"""The pages of one list by cursor; the first one's is None."""


@dataclass(slots=True, eq=False)
class Listing:
    """One of the four lists."""

    _method: str
    """Such as `tools/list`."""
    _member: str
    """Where the result has them, such as `tools`."""
    _entries: Callable[[], Iterable[Declaration]]
    """Gives all that there are, in an order that does not change."""
    _registry: Registry
    """Says by its generation when they are others."""
    _page_size: int
    _server_info: Mapping[str, Any]
    """Who answers, for the results of the modern era."""
    _written: Callable[[Any, str], Mapping[str, Any]] | None = None
    """How a declaration stands in the list, in a revision (`2025-11-25`), if it is not by its definition."""
    _is_private: bool = False
    """Whether it depends on who asks by more than their scopes."""
    _generation: int = field(default=-1, init=False)
    _known_scopes: frozenset[str] = field(default=_EMPTY, init=False)
    _lists: dict[tuple[Revision, frozenset[str] | None], Pages] = field(default_factory=dict, init=False)

    @property
    def member(self) -> str:
        """Which list it is, as its result has it."""
        return self._member

    def page(self, params: Mapping[str, Any], revision: Revision, granted: frozenset[str] | None) -> orjson.Fragment:
        """Return the page that a request asks for, to a caller with these scopes; None where scopes do not count.

        Raises InvalidParams if the cursor is not one of this list as it is now.
        """
        generation = self._registry.generation
        if self._generation != generation:
            self._lists.clear()
            self._known_scopes = _EMPTY.union(*(entry.scopes for entry in self._entries()))
            self._generation = generation
        seen = None if granted is None else granted & self._known_scopes
        pages = self._lists.get((revision, seen))
        if pages is None:
            while len(self._lists) >= _MOST_LISTS:
                del self._lists[next(iter(self._lists))]
            pages = self._lists[revision, seen] = self._pages(revision, seen)
        return page_of(pages, params)

    def shown(self, granted: frozenset[str] | None) -> list[Declaration]:
        """Return what a caller with these scopes is shown; None where scopes do not count."""
        return [entry for entry in self._entries() if granted is None or entry.scopes <= granted]

    def result(self, shown: Iterable[Declaration], params: Mapping[str, Any], revision: Revision) -> dict[str, Any]:
        """Return the page of a list of these that a request asks for, for its caller alone.

        Raises InvalidParams if the cursor is not one of that list.
        """
        return page_of(self._results(revision, shown, is_private=True), params)

    def _pages(self, revision: Revision, granted: frozenset[str] | None) -> Pages:
        results = self._results(revision, self.shown(granted), is_private=self._is_private or bool(self._known_scopes))
        if revision.modern:
            results = {
                cursor: finish_result(self._method, result, self._server_info) for cursor, result in results.items()
            }
        return {cursor: orjson.Fragment(encode(result)) for cursor, result in results.items()}

    def _results(
        self, revision: Revision, shown: Iterable[Declaration], *, is_private: bool
    ) -> dict[str | None, dict[str, Any]]:
        """Return all pages, by their cursors, without what every result has."""
        version, written = revision.version, self._written
        entries = [entry.definition_for(version) if written is None else written(entry, version) for entry in shown]
        results = paged(self._method, self._member, entries, self._page_size)
        if revision.modern:
            # A list that depends on who asks must not be shown to another, none of its pages.
            hints = {"ttlMs": LIST_FRESHNESS_MS, "cacheScope": "private" if is_private else "public"}
            results = {cursor: {**result, **hints} for cursor, result in results.items()}
        return results


def paged(
    what: str, member: str, entries: Iterable[Mapping[str, Any]], page_size: int
) -> dict[str | None, dict[str, Any]]:
    """Return the results of a list, one for each page, by cursor; the first one's is None.

    Args:
        what: tells this list from others, such as `tools/list`.
        member: where the results have the entries.
        entries: all of them, as JSON objects.
        page_size: how many go into a page.
    """
    written = [encode(entry) for entry in entries]
    digest = blake2b(b"\n".join([what.encode(), *written]), digest_size=32)
    results: dict[str | None, dict[str, Any]] = {}
    cursor: str | None = None
    # A list with nothing in it has one page.
    for start in range(0, max(len(written), 1), page_size):
        stop = start + page_size
        result: dict[str, Any] = {member: [orjson.Fragment(entry) for entry in written[start:stop]]}
        following: str | None = None
        if stop < len(written):
            following = result["nextCursor"] = _cursor(digest.digest(), stop)
        results[cursor] = result
        cursor = following
    return results


def page_of(results: Mapping[str | None, T], params: Mapping[str, Any]) -> T:
    """Return the page that a request asks for, or raise InvalidParams: its cursor is not one of this list."""
    cursor = params.get("cursor")
    page = results.get(cursor) if cursor is None or type(cursor) is str else None
    if page is None:
        raise InvalidParams(_UNKNOWN_CURSOR)
    return page


def _cursor(list_digest: bytes, start: int) -> str:
    digest = blake2b(start.to_bytes(8, "big"), key=list_digest, digest_size=_CURSOR_BYTES).digest()
    return urlsafe_b64encode(digest).decode()
