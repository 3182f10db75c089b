"""The lists of several servers behind one endpoint."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import orjson
import pytest

from gatepost.fronts.merging.asking import MOST_LATE
from gatepost.resource.scope_map import ScopeMap
from gatepost.server.server import Server
from tests.fronts.merging.merging_world import (
    Merging,
    Scripted,
    failing,
    merging,
    names_in,
    resources,
    said,
    stdio,
    tools,
)
from tests.web.mcp.sessions.session_world import request

ERAS = ["handshake", "modern"]


async def ask(front: Merging, era: str, method: str, params: dict[str, Any] | None = None, **more: Any) -> Any:
    """Ask in one of the eras, in a session where there is one."""
    if era == "modern":
        return await front.modern(method, params, **more)
    session = await front.begin()
    return (await front.send(request(method, params), session=session)).body


def own_server() -> Server:
    server = Server("own")

    @server.tool
    def local() -> str:
        return "local"

    return server


@pytest.mark.parametrize("era", ERAS)
async def test_names_have_their_servers_prefix_and_all_else_stays_as_it_was_spelled(tmp_path: Path, era: str) -> None:
    entry = {"name": "find", "inputSchema": {"type": "object"}, "own": 1.0}
    functions = Scripted({"tools/list": {"tools": [entry], "own": {"a": 1}}})
    async with merging(tmp_path, {"rec": stdio(tmp_path / "record"), "fn": functions, "": own_server()}) as front:
        result = (await ask(front, era, "tools/list"))["result"]

        assert names_in(result)[:2] == ["rec_echo", "rec_last"]
        assert names_in(result)[-2:] == ["fn_find", "local"]
        assert result["tools"][-2] == {**entry, "name": "fn_find"}
        schema = {"type": "object", "$defs": {"own": {"type": "string"}}}
        assert result["tools"][0] == {"name": "rec_echo", "inputSchema": schema, "own": 1.0}
        assert result["own"] == {"a": 1}
        assert result["_meta"]["declared"] == []


async def test_an_entry_keeps_its_digits_and_the_order_of_its_members(tmp_path: Path) -> None:
    async with merging(tmp_path, {"rec": stdio(tmp_path / "record")}) as front:
        connection = await front.open_modern("tools/list").ended()

        assert b'{"name":"rec_echo","inputSchema":{"type":"object","$defs":{"own":{"type":"string"}}},"own":1.0}' in (
            connection.raw
        )


@pytest.mark.parametrize("era", ERAS)
async def test_pages_come_of_all_that_have_more_and_a_cursor_goes_back_to_whose_it_is(tmp_path: Path, era: str) -> None:
    def pages(*given: dict[str, Any]) -> Any:
        by_cursor = {page.pop("at", None): page for page in given}
        return lambda params: by_cursor.get(params.get("cursor"), failing(-32602))

    one = Scripted({"tools/list": pages(tools("a", nextCursor="2"), tools("b", nextCursor="x/3", at="2"))})
    two = Scripted({"tools/list": pages(tools("a"))})
    three = Scripted({"tools/list": pages(tools("a", nextCursor="2"), tools("b", at="2"))})
    async with merging(tmp_path, {"one": one, "two": two, "three": three}) as front:
        first = (await ask(front, era, "tools/list"))["result"]
        second = (await ask(front, era, "tools/list", {"cursor": first["nextCursor"]}))["result"]
        third = await ask(front, era, "tools/list", {"cursor": second["nextCursor"]})

        assert names_in(first) == ["one_a", "two_a", "three_a"]
        assert names_in(second) == ["one_b", "three_b"]
        assert third["error"] == {"code": -32602, "message": "No."}
        assert [params.get("cursor") for params in one.sent("tools/list")] == [None, "2", "x/3"]
        assert [params.get("cursor") for params in two.sent("tools/list")] == [None]


@pytest.mark.parametrize(
    "cursor",
    ["", "2", "bm9uZQ==", "W10=", "WzFd", "WzEsIFsib3RoZXIiLCAiMiJdXQ==", "WzEsIFsib25lIiwgMl1d", "Nw==", 7, "ü"],
)
async def test_a_cursor_of_no_list_is_refused(tmp_path: Path, cursor: Any) -> None:
    one = Scripted({"tools/list": tools("a")})
    async with merging(tmp_path, {"one": one}) as front:
        answer = await front.modern("tools/list", {"cursor": cursor})

        assert answer["error"]["code"] == -32602
        assert not one.sent("tools/list")


async def test_a_server_without_such_a_list_is_passed_over_and_where_no_one_has_it_there_is_no_such_method(
    tmp_path: Path,
) -> None:
    one, two = Scripted({"prompts/list": {"prompts": [{"name": "a"}]}}), Scripted({"tools/list": tools("a")})
    async with merging(tmp_path, {"one": one, "two": two}) as front:
        assert names_in((await front.modern("prompts/list"))["result"], "prompts") == ["one_a"]
        assert (await front.modern("resources/list"))["error"]["code"] == -32601
        await front.modern("server/discover")
        asked = len(two.asked)
        assert (await front.modern("prompts/list"))["error"]["code"] == -32601
        # What it has declared says that it has none.
        assert len(two.asked) == asked


@pytest.mark.parametrize("era", ERAS)
async def test_a_list_goes_on_without_a_server_that_fails_and_the_log_says_it_once(
    tmp_path: Path, era: str, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = Scripted({"tools/list": tools("a")}), Scripted({"tools/list": failing(-32000)})
    dead = stdio(tmp_path / "record", "--die", is_known=False)
    async with merging(tmp_path, {"one": one, "two": two, "dead": dead}) as front:
        caplog.clear()
        lists = [(await ask(front, era, "tools/list"))["result"] for _ in range(3)]

        assert [names_in(result) for result in lists] == [["one_a"]] * 3
        logged = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert [text.splitlines()[0] for text in logged if text.startswith("incident")] == [
            "incident abababababababab: dead behind has no answer: It ended before it answered: It ended with code 1."
        ]
        assert [text for text in logged if text.startswith("two")] == ["two behind: it refused tools/list with -32000"]


async def test_where_no_server_answers_there_is_an_error_and_no_empty_list(tmp_path: Path) -> None:
    targets = {"two": Scripted({}), "dead": stdio(tmp_path / "record", "--die", is_known=False)}
    async with merging(tmp_path, targets) as front:
        assert (await front.modern("tools/list"))["error"] == {
            "code": -32603,
            "message": "dead behind has no answer; the log explains it as incident abababababababab.",
        }


async def test_a_server_that_is_slow_is_waited_for_as_long_as_was_said_and_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    waiting = asyncio.Event()

    async def late(_params: Any) -> Any:
        await waiting.wait()
        return tools("b")

    one, two = Scripted({"tools/list": tools("a")}), Scripted({"tools/list": late})
    async with merging(tmp_path, {"one": one, "two": two}, wait_seconds=0.05) as front:
        result = (await front.modern("tools/list"))["result"]
        again = (await front.modern("tools/list"))["result"]
        with caplog.at_level(logging.INFO):
            waiting.set()
            await front.until(lambda: "answers again" in caplog.text)
        whole = (await front.modern("tools/list"))["result"]

        assert names_in(result) == names_in(again) == ["one_a"]
        assert result["ttlMs"] == 0
        assert names_in(whole) == ["one_a", "two_b"]
        assert caplog.text.count("two behind has no answer: It did not answer within 0.05 seconds.") == 1


async def test_a_server_that_hangs_is_not_asked_again_and_again(tmp_path: Path) -> None:
    async def never(_params: Any) -> Any:
        await asyncio.Event().wait()

    one, two = Scripted({"tools/list": tools("a")}), Scripted({"tools/list": never})
    async with merging(tmp_path, {"one": one, "two": two}, wait_seconds=0.01) as front:
        for _ in range(2 * MOST_LATE):
            assert names_in((await front.modern("tools/list"))["result"]) == ["one_a"]

        assert len(two.sent("tools/list")) == MOST_LATE


async def test_what_is_no_list_is_left_out_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = Scripted({"prompts/list": {"prompts": [{"name": "a"}]}})
    two = Scripted({"prompts/list": {"prompts": {}, "nextCursor": 2}})
    async with merging(tmp_path, {"one": one, "two": two}) as front:
        for _ in range(2):
            assert names_in((await front.modern("prompts/list"))["result"], "prompts") == ["one_a"]

        assert caplog.text.count("two behind: it answered prompts/list with no list") == 1


async def test_names_that_another_servers_begin_with_are_left_out_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub = Scripted({"tools/list": tools("enterprise_find", "find")})
    enterprise = Scripted({"tools/list": tools("find"), "tools/call": said("enterprise")})
    async with merging(tmp_path, {"hub": hub, "hub_enterprise": enterprise}) as front:
        for _ in range(2):
            result = (await front.modern("tools/list"))["result"]
            assert names_in(result) == ["hub_find", "hub_enterprise_find"]
        called = await front.modern_call("hub_enterprise_find")

        assert called["result"]["content"][0]["text"] == "enterprise"
        assert not hub.sent("tools/call")
        sentence = (
            "hub behind: 'enterprise_find' would be called 'hub_enterprise_find' here, and names that begin so are "
            "those of hub_enterprise: it is left out"
        )
        assert [record.getMessage() for record in caplog.records].count(sentence) == 1


async def test_a_server_without_a_prefix_has_no_entry_under_two_names(tmp_path: Path) -> None:
    twice = orjson.Fragment(b'{"name":"one_a","name":"b"}')
    plain = Scripted({"tools/list": {"tools": [twice]}})
    async with merging(tmp_path, {"": plain, "one": Scripted({"tools/list": tools("a")})}) as front:
        assert names_in((await front.modern("tools/list"))["result"]) == ["one_a"]


async def test_a_name_that_clients_may_not_take_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = Scripted({"tools/list": tools("a" * 61)})
    async with merging(tmp_path, {"one": one}) as front:
        for _ in range(2):
            assert names_in((await front.modern("tools/list"))["result"]) == ["one_" + "a" * 61]

        assert caplog.text.count("has 65 characters; several clients take 64 at most") == 1


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({"ttlMs": 5000, "cacheScope": "public"}, {"ttlMs": 3000, "cacheScope": "public"}, (3000, "public")),
        ({"ttlMs": 5000, "cacheScope": "public"}, {"ttlMs": 3000, "cacheScope": "private"}, (3000, "private")),
        ({"ttlMs": 5000, "cacheScope": "public"}, {}, (0, "private")),
        ({}, {}, (0, "private")),
    ],
)
async def test_a_list_counts_as_long_and_for_as_many_as_that_of_each_server(
    tmp_path: Path, first: Any, second: Any, expected: Any
) -> None:
    one, two = Scripted({"tools/list": tools("a", **first)}), Scripted({"tools/list": tools("b", **second)})
    async with merging(tmp_path, {"one": one, "two": two}) as front:
        result = (await front.modern("tools/list"))["result"]

        assert (result["ttlMs"], result["cacheScope"]) == expected
        assert result["_meta"] == {"io.modelcontextprotocol/serverInfo": {"name": "merged", "version": "1"}}


@pytest.mark.parametrize(("scope", "expected"), [("private", "private"), ("public", "public")])
async def test_all_pages_of_a_list_are_for_the_same_callers(tmp_path: Path, scope: str, expected: str) -> None:
    hints = {"ttlMs": 5, "cacheScope": "public"}
    pages = {None: tools("a", nextCursor="2", **hints), "2": tools("b", **hints)}
    one = Scripted({"tools/list": lambda params: pages[params.get("cursor")]})
    two = Scripted({"tools/list": tools("a", ttlMs=5, cacheScope=scope)})
    async with merging(tmp_path, {"one": one, "two": two}) as front:
        first = (await front.modern("tools/list"))["result"]
        second = (await front.modern("tools/list", {"cursor": first["nextCursor"]}))["result"]

        assert names_in(second) == ["one_b"]
        assert (first["cacheScope"], second["cacheScope"]) == (expected, expected)


async def test_a_list_that_lacks_a_server_counts_for_no_time(tmp_path: Path) -> None:
    lasting = {"ttlMs": 5000, "cacheScope": "public"}
    one, two = Scripted({"tools/list": tools("a", **lasting)}), Scripted({"tools/list": failing(-32000)})
    async with merging(tmp_path, {"one": one, "two": two}) as front:
        result = (await front.modern("tools/list"))["result"]

        assert (result["ttlMs"], result["cacheScope"]) == (0, "private")


async def test_scopes_are_for_the_names_that_tools_have_here(tmp_path: Path) -> None:
    one = Scripted({"tools/list": tools("a", "b", ttlMs=1, cacheScope="public"), "tools/call": said("a")})
    scope_map = ScopeMap(tools={"one_a": ["notes:read"], "one_b": ["notes:write"]}, default=[])
    async with merging(tmp_path, {"one": one, "": own_server()}, scope_map=scope_map) as front:
        result = (await front.modern("tools/list"))["result"]
        allowed = await front.modern_call("one_a")
        refused = await front.open_modern("tools/call", {"name": "one_b", "arguments": {}}).ended()

        assert names_in(result) == ["one_a", "local"]
        assert result["cacheScope"] == "private"
        assert allowed["result"]["content"] == [{"type": "text", "text": "a"}]
        assert refused.status == 403
        assert refused.headers["www-authenticate"].endswith(', scope="notes:write"')
        assert len(one.sent("tools/call")) == 1


async def test_what_a_server_of_our_own_declares_counts_and_no_map_by_name(tmp_path: Path) -> None:
    server = own_server()

    @server.tool(scopes=["notes:write"])
    def write() -> str:
        return "written"

    async with merging(tmp_path, {"": server, "one": Scripted({})}, scope_map=ScopeMap(default=["other"])) as front:
        assert names_in((await front.modern("tools/list"))["result"]) == ["local"]
        assert (await front.modern_call("local"))["result"]["content"][0]["text"] == "local"
        assert (await front.open_modern("tools/call", {"name": "write", "arguments": {}}).ended()).status == 403


async def test_a_resource_that_needs_a_scope_is_kept_for_nobody_else(tmp_path: Path) -> None:
    one = Scripted({"resources/read": {"contents": [], "ttlMs": 5, "cacheScope": "public"}})
    scope_map = ScopeMap(resources={"note://1": ["notes:read"], "note://2": []})
    async with merging(tmp_path, {"one": one}, scope_map=scope_map) as front:
        read = [(await front.modern("resources/read", {"uri": f"note://{number}"}))["result"] for number in (1, 2)]

        assert [(result["cacheScope"], result["ttlMs"]) for result in read] == [("private", 5), ("public", 5)]


async def test_resources_keep_their_uris_and_one_that_two_servers_have_is_the_firsts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = Scripted({"resources/list": resources("note://1", "note://2"), "resources/read": {"contents": ["one"]}})
    two = Scripted({"resources/list": resources("NOTE://2", "note://3"), "resources/read": {"contents": ["two"]}})
    for each in (one, two):
        each.capabilities = {"resources": {}}
    async with merging(tmp_path, {"one": one, "two": two}) as front:
        for _ in range(2):
            result = (await front.modern("resources/list"))["result"]
            assert [entry["uri"] for entry in result["resources"]] == ["note://1", "note://2", "note://3"]
        read = [await front.modern("resources/read", {"uri": f"note://{number}"}) for number in (1, 2, 3)]

        assert [answer["result"]["contents"] for answer in read] == [["one"], ["one"], ["two"]]
        assert caplog.text.count("two behind: a resource of it has a URI that one has as well: it is left out") == 1
