"""Lists behind a front that are kept for as long as their server says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gatepost.fronts import list_cache
from gatepost.fronts.list_cache import ListCache
from gatepost.resource.scope_map import ScopeMap
from gatepost.server.changes.bus import Change
from tests.fronts.front_world import CARL, fronting
from tests.fronts.remote_server import Asked, raw_server, remote_front
from tests.fronts.test_remote_credentials import Kept, of
from tests.web.mcp.sessions.session_world import request

PAGE = b'{"tools":[],"own":1.0,"ttlMs":2000,"cacheScope":"private"}'


def kept(raw: bytes = PAGE, method: str = "tools/list", params: Any = None, *, now: float = 10.0) -> ListCache:
    cache = ListCache()
    cache.keep(method, params or {}, raw, generation=cache.generation(method), now=now)
    return cache


def test_a_page_counts_for_the_time_that_is_left_of_what_the_server_said() -> None:
    cache = kept()

    assert cache.find("tools/list", {}, 10.0) == PAGE
    assert cache.find("tools/list", {"_meta": {"a": 1}}, 11.5) == PAGE.replace(b"2000", b"500")
    assert cache.find("tools/list", {}, 12.0) is None
    # What counts no more is not kept.
    assert cache.find("tools/list", {}, 10.0) is None


@pytest.mark.parametrize("params", [{"cursor": "2"}, {"own": 1}, {"cursor": {}}])
def test_a_page_is_one_answer_to_one_question(params: Any) -> None:
    cache = kept()

    assert cache.find("tools/list", params, 10.0) is None
    assert cache.find("prompts/list", {}, 10.0) is None
    assert kept(params={"own": 1}).find("tools/list", {"own": 1}, 10.0) is None
    assert kept(params={"cursor": "2"}).find("tools/list", {"cursor": "2"}, 10.0) == PAGE


@pytest.mark.parametrize(
    "hint",
    [b"", b',"ttlMs":0', b',"ttlMs":-1', b',"ttlMs":1.5', b',"ttlMs":"x"', b',"ttlMs":null', b',"a":{"ttlMs":5}'],
)
def test_without_a_time_nothing_is_kept(hint: bytes) -> None:
    assert kept(b'{"tools":[]' + hint + b"}").find("tools/list", {}, 10.0) is None


def test_no_page_counts_for_longer_than_an_hour() -> None:
    cache = kept(PAGE.replace(b"2000", b"999999999999"))

    assert cache.find("tools/list", {}, 10.0 + list_cache.LONGEST - 1) is not None
    assert cache.find("tools/list", {}, 10.0 + list_cache.LONGEST) is None


@pytest.mark.parametrize(
    ("method", "kind", "is_there"),
    [
        ("tools/list", "tools", False),
        ("tools/list", "prompts", True),
        ("resources/list", "resources", False),
        ("resources/templates/list", "resources", False),
        ("resources/list", "resource", True),
    ],
)
def test_a_change_of_its_kind_ends_it(method: str, kind: Any, is_there: bool) -> None:
    cache = kept(method=method)
    cache.on_change(Change(kind))

    assert (cache.find(method, {}, 10.0) is not None) is is_there


def test_what_was_asked_for_before_a_change_is_not_kept() -> None:
    cache = ListCache()
    before = cache.generation("tools/list")
    cache.on_change(Change("tools"))
    cache.keep("tools/list", {}, PAGE, generation=before, now=10.0)

    assert cache.find("tools/list", {}, 10.0) is None


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_cache, "LARGEST", 2 * len(PAGE))
    cache = ListCache()

    def keep(number: int) -> bool:
        params = {"cursor": str(number)}
        cache.keep("tools/list", params, PAGE, generation=cache.generation("tools/list"), now=10.0)
        return cache.find("tools/list", params, 10.0) is not None

    assert [keep(number) for number in range(3)] == [True, True, False]
    cache.forget("tools")
    assert keep(3)


# Behind a front.


def listing(count: list[int], **hints: Any) -> Any:
    """Answer with one tool, whose name says the how many-th answer it is."""

    async def serve(asked: Asked) -> None:
        count[0] += 1
        await asked.result({"tools": [{"name": f"t{count[0]}", "inputSchema": {"type": "object"}}], **hints})

    return serve


async def names(front: Any, session: str | None = None, **more: Any) -> list[str]:
    if session is None:
        answer = await front.modern("tools/list", **more)
    else:
        answer = (await front.send(request("tools/list"), session=session, **more)).body
    return [tool["name"] for tool in answer["result"]["tools"]]


async def test_a_list_is_asked_for_once_while_it_counts_and_anew_for_each_session(tmp_path: Path) -> None:
    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        server.methods["tools/list"] = listing([0], ttlMs=60_000)
        first, second = await front.begin(), await front.begin()

        assert [await names(front, session) for session in (first, first, second, first)] == [
            ["t1"],
            ["t1"],
            ["t2"],
            ["t1"],
        ]
        assert [await names(front) for _ in range(2)] == [["t3"], ["t3"]]
        assert await names(front, authorization=f"Bearer {CARL}") == ["t4"]


async def test_a_list_of_a_server_that_says_no_time_is_asked_for_each_time(tmp_path: Path) -> None:
    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        server.methods["tools/list"] = listing([0])

        assert [await names(front) for _ in range(2)] == [["t1"], ["t2"]]


async def test_a_change_on_the_stream_of_a_call_ends_it_and_is_heard_by_who_listens(tmp_path: Path) -> None:
    async def change(asked: Asked) -> None:
        await asked.stream()
        await asked.event({"method": "notifications/tools/list_changed"})
        await asked.last_event("changed", asked.id)
        asked.drop()

    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        server.methods["tools/list"] = listing([0], ttlMs=60_000)
        server.tools["change"] = change
        stream = front.open_modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        await stream.until_messages(1)
        before = await names(front)
        await front.modern_call("change")
        after = await names(front)

        assert (before, after) == (["t1"], ["t2"])
        assert (await stream.until_messages(2))[1]["method"] == "notifications/tools/list_changed"
        stream.gone.set()
        await stream.finished()


@pytest.mark.parametrize("era", ["handshake", "modern"])
async def test_a_call_that_the_server_refuses_ends_what_led_to_it(tmp_path: Path, era: str) -> None:
    async def refuse(asked: Asked) -> None:
        await asked.json({"jsonrpc": "2.0", "id": asked.id, "error": {"code": -32602, "message": "Unknown tool"}})

    async with raw_server() as server, remote_front(tmp_path, server.url) as front:
        server.methods["tools/list"] = listing([0], ttlMs=60_000)
        server.tools["gone"] = refuse
        session = await front.begin() if era == "handshake" else None
        lists = [await names(front, session), await names(front, session)]
        await (front.modern_call("gone") if session is None else front.call(session, "gone"))

        assert [*lists, await names(front, session)] == [["t1"], ["t1"], ["t2"]]


async def test_a_list_that_is_for_a_users_own_token_is_not_kept(tmp_path: Path) -> None:
    tokens = Kept({"ann": ["token-of-ann"]})
    async with raw_server() as server, remote_front(tmp_path, server.url, credentials=of(tokens)) as front:
        server.methods["tools/list"] = listing([0], ttlMs=60_000)

        assert [await names(front) for _ in range(2)] == [["t1"], ["t2"]]


async def test_scopes_count_for_what_is_kept_as_well(tmp_path: Path) -> None:
    scope_map = ScopeMap(tools={"echo": ["notes:read"]}, default=["no"])
    async with fronting(tmp_path, "--public", scope_map=scope_map) as front:
        lists = [await names(front) for _ in range(2)]

        assert lists == [["echo"]] * 2
        assert len(front.sent("tools/list")) == 1
