from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import orjson
import pytest

from gatepost.protocol.errors import InvalidParams
from gatepost.protocol.messages import Request
from gatepost.protocol.versions import REVISION_2025_11_25, REVISION_2026_07_28, Revision
from gatepost.server.calls.exchange import Exchange
from gatepost.server.declared.declaration import Declaration
from gatepost.server.dispatch import ServerTarget
from gatepost.server.listing import Listing
from gatepost.server.registry import Registry
from gatepost.server.server import Server


class Entry:
    def __init__(self, name: str, *scopes: str) -> None:
        self.name = name
        self.scopes = frozenset(scopes)

    def definition_for(self, revision: str) -> dict[str, Any]:
        return {"name": self.name, "revision": revision}


class World:
    """A list of things that can be added to, of a server as far as a list looks at it."""

    def __init__(self, *entries: Entry, page_size: int = 2, method: str = "things/list") -> None:
        self.entries = {entry.name: entry for entry in entries}
        self.generation = 0
        known, server = cast("Mapping[str, Declaration]", self.entries), cast("Registry", self)
        self.listing = Listing(method, "things", known.values, server, page_size, {"name": "x"})

    def page(
        self,
        cursor: Any = None,
        *,
        revision: Revision = REVISION_2026_07_28,
        granted: frozenset[str] | None = None,
    ) -> dict[str, Any]:
        params = {} if cursor is None else {"cursor": cursor}
        page: dict[str, Any] = json.loads(orjson.dumps(self.listing.page(params, revision, granted)))
        return page

    def pages(self, granted: frozenset[str] | None = None) -> list[list[str]]:
        """The names on every page, as a client follows the cursors."""
        page = self.page(granted=granted)
        found = [[thing["name"] for thing in page["things"]]]
        while "nextCursor" in page:
            page = self.page(page["nextCursor"], granted=granted)
            found.append([thing["name"] for thing in page["things"]])
        return found


@pytest.mark.parametrize(
    ("count", "pages"),
    [(0, [[]]), (1, [["0"]]), (2, [["0", "1"]]), (3, [["0", "1"], ["2"]]), (5, [["0", "1"], ["2", "3"], ["4"]])],
)
def test_a_list_comes_in_pages_and_in_order(count: int, pages: list[list[str]]) -> None:
    assert World(*(Entry(str(number)) for number in range(count))).pages() == pages


def test_pages_hold_only_what_the_caller_may_see() -> None:
    world = World(Entry("a"), Entry("b", "x"), Entry("c"), Entry("d"))

    assert world.pages(frozenset()) == [["a", "c"], ["d"]]
    assert world.pages(frozenset({"x"})) == [["a", "b"], ["c", "d"]]
    assert {world.page(granted=frozenset())["cacheScope"], world.page()["cacheScope"]} == {"private"}


def test_every_page_of_a_list_has_the_same_hints() -> None:
    world = World(Entry("a"), Entry("b"), Entry("c"))
    first = world.page()

    second = world.page(first["nextCursor"])

    assert first.keys() == {"things", "nextCursor", "ttlMs", "cacheScope", "resultType", "_meta"}
    assert second == {
        "things": [{"name": "c", "revision": "2026-07-28"}],
        "ttlMs": first["ttlMs"],
        "cacheScope": "public",
        "resultType": "complete",
        "_meta": first["_meta"],
    }


@pytest.mark.parametrize("cursor", ["", "2", "AAAAAAAAAAAAAAAAAAAA", 2, [], {}, True])
def test_a_cursor_that_was_never_given_out_is_refused(cursor: Any) -> None:
    with pytest.raises(InvalidParams, match="cursor"):
        World(Entry("a"), Entry("b"), Entry("c")).page(cursor)


def test_a_cursor_of_another_list_is_refused() -> None:
    entries = [Entry("a"), Entry("b", "x"), Entry("c"), Entry("d")]
    world = World(*entries)
    cursor = world.page()["nextCursor"]

    with pytest.raises(InvalidParams):
        World(*entries, method="others/list").page(cursor)
    with pytest.raises(InvalidParams):
        world.page(cursor, granted=frozenset())
    with pytest.raises(InvalidParams):
        world.page(cursor, revision=REVISION_2025_11_25)


def test_a_cursor_is_stale_once_the_list_has_changed() -> None:
    world = World(Entry("a"), Entry("b"), Entry("c"))
    cursor = world.page()["nextCursor"]
    world.entries["d"] = Entry("d")
    assert len(world.page(cursor)["things"]) == 1

    world.generation += 1

    with pytest.raises(InvalidParams):
        world.page(cursor)
    assert world.pages() == [["a", "b"], ["c", "d"]]


def test_a_cursor_is_good_in_every_process() -> None:
    entries = [Entry("a"), Entry("b"), Entry("c")]

    assert World(*entries).page(World(*entries).page()["nextCursor"])["things"][0]["name"] == "c"


def test_a_page_is_written_once() -> None:
    world = World(Entry("a"))

    first = world.listing.page({}, REVISION_2026_07_28, None)

    assert world.listing.page({"cursor": None}, REVISION_2026_07_28, None) is first


def test_no_more_than_a_few_lists_are_kept() -> None:
    scopes = [f"scope-{number}" for number in range(7)]
    world = World(*(Entry(scope, scope) for scope in scopes))
    for number in range(2**7):
        world.page(granted=frozenset(scope for bit, scope in enumerate(scopes) if number >> bit & 1))

    assert len(world.listing._lists) == 64


async def test_a_server_with_many_tools_lists_them_in_pages() -> None:
    target = ServerTarget(Server("notes", page_size=1, tools=[_first, _second]))
    caller = Exchange()

    first = await target.answer(Request(1, "tools/list", {}), REVISION_2025_11_25, caller)
    page = json.loads(orjson.dumps(first))
    second = await target.answer(Request(1, "tools/list", {"cursor": page["nextCursor"]}), REVISION_2025_11_25, caller)

    assert [tool["name"] for tool in page["tools"]] == ["_first"]
    assert [tool["name"] for tool in json.loads(orjson.dumps(second))["tools"]] == ["_second"]


async def test_a_list_holds_what_authors_write_half_characters_and_wide_integers_too() -> None:
    """One such default made the whole list an incident."""

    async def odd(seed: int = 2**70, name: str = "caf\udce9") -> None: ...

    target = ServerTarget(Server("notes", tools=[odd]))
    page = json.loads(orjson.dumps(await target.answer(Request(1, "tools/list", {}), REVISION_2025_11_25, Exchange())))

    properties = page["tools"][0]["inputSchema"]["properties"]
    assert (properties["seed"]["default"], properties["name"]["default"]) == (2**70, "caf\ufffd")


def test_a_page_has_at_least_one_entry() -> None:
    with pytest.raises(ValueError, match="page_size is at least 1"):
        Server("notes", page_size=0)


async def _first() -> None: ...


async def _second() -> None: ...
