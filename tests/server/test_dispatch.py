from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from gatepost.protocol.errors import InvalidParams, MethodNotFound
from gatepost.protocol.messages import Notification, Request, result_response
from gatepost.protocol.versions import (
    REVISION_2025_03_26,
    REVISION_2025_06_18,
    REVISION_2025_11_25,
    REVISION_2026_07_28,
    Revision,
)
from gatepost.resource.principal import Principal
from gatepost.server.calls.context import Context
from gatepost.server.changes.subscriptions import Subscription
from gatepost.server.dispatch import ServerTarget
from gatepost.server.errors import InsufficientScope
from gatepost.server.server import Server
from tests.server.calls.answering_exchange import AnsweringExchange
from tests.server.scoped_exchange import exchange_of

ALL = (REVISION_2026_07_28, REVISION_2025_11_25, REVISION_2025_06_18, REVISION_2025_03_26)
EARLIER = ALL[1:]
WHO = {"io.modelcontextprotocol/serverInfo": {"name": "notes", "version": "0.0.0"}}


def a_server(**options: Any) -> Server:
    """A server with an open tool, one for readers, and one for readers who may write."""
    server = Server("notes", **options)

    @server.tool
    async def add(a: int, b: int) -> int:
        return a + b

    @server.tool(scopes=["notes:read"])
    async def read(ctx: Context) -> str:
        return f"{ctx.user.subject} reads {ctx.state('shelf')}"

    @server.tool(scopes=["notes:read", "notes:write"])
    async def write() -> None: ...

    return server


async def ask(
    target: ServerTarget,
    method: str,
    params: Mapping[str, Any] | None = None,
    *,
    revision: Revision = REVISION_2026_07_28,
    granted: frozenset[str] | None = None,
    principal: Principal | None = None,
) -> dict[str, Any]:
    """The result of one request, as a client reads it."""
    request = Request(1, method, dict(params or {}))
    result = await target.answer(request, revision, exchange_of(principal, granted=granted))
    assert not isinstance(result, Subscription)
    read: dict[str, Any] = json.loads(result_response(1, result))["result"]
    return read


def names(listed: dict[str, Any]) -> list[str]:
    """The names in a list of tools."""
    return [tool["name"] for tool in listed["tools"]]


async def test_discovery_says_what_there_is_and_that_it_is_the_same_for_all() -> None:
    target = ServerTarget(a_server(title="Notes", instructions="Be brief.", website_url="https://notes.example"))

    assert await ask(target, "server/discover") == {
        "resultType": "complete",
        "supportedVersions": ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"],
        "capabilities": {"logging": {}, "tools": {"listChanged": True}},
        "instructions": "Be brief.",
        "ttlMs": 300_000,
        "cacheScope": "public",
        "_meta": {
            "io.modelcontextprotocol/serverInfo": {
                "name": "notes",
                "version": "0.0.0",
                "title": "Notes",
                "websiteUrl": "https://notes.example",
            }
        },
    }


async def test_instructions_are_left_out_of_discovery_when_there_are_none() -> None:
    assert "instructions" not in await ask(ServerTarget(Server("notes")), "server/discover")


@pytest.mark.parametrize("revision", EARLIER)
async def test_the_handshake_era_has_initialize_and_ping_but_no_discovery(revision: Revision) -> None:
    target = ServerTarget(Server("notes"))

    assert await ask(target, "initialize", revision=revision) == {
        "protocolVersion": revision.version,
        "capabilities": {"logging": {}, "tools": {"listChanged": True}},
        "serverInfo": {"name": "notes", "version": "0.0.0"},
    }
    assert await ask(target, "ping", revision=revision) == {}
    with pytest.raises(MethodNotFound):
        await ask(target, "server/discover", revision=revision)


@pytest.mark.parametrize("method", ["server/discover", "subscriptions/listen"])
@pytest.mark.parametrize("revision", EARLIER)
async def test_a_method_of_the_modern_era_is_none_of_the_handshake_era(method: str, revision: Revision) -> None:
    with pytest.raises(MethodNotFound):
        await ask(ServerTarget(Server("notes")), method, revision=revision)


@pytest.mark.parametrize(
    "method", ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"]
)
async def test_a_method_of_the_handshake_era_is_none_of_the_modern_era(method: str) -> None:
    with pytest.raises(MethodNotFound):
        await ask(ServerTarget(a_server()), method, {"uri": "notes://today", "level": "info"})


@pytest.mark.parametrize("method", ["prompts/list", "unknown/method", "", "tools/call "])
async def test_another_method_is_not_found(method: str) -> None:
    with pytest.raises(MethodNotFound):
        await ask(ServerTarget(Server("notes")), method)


@pytest.mark.parametrize("revision", ALL)
async def test_tools_are_listed_in_the_order_they_were_added(revision: Revision) -> None:
    listed = await ask(ServerTarget(a_server()), "tools/list", revision=revision)

    assert names(listed) == ["add", "read", "write"]


@pytest.mark.parametrize(
    ("granted", "seen"),
    [
        (frozenset[str](), ["add"]),
        (frozenset({"notes:write"}), ["add"]),
        (frozenset({"notes:read"}), ["add", "read"]),
        (frozenset({"notes:read", "notes:write", "other"}), ["add", "read", "write"]),
        (None, ["add", "read", "write"]),
    ],
)
async def test_a_caller_sees_the_tools_whose_scopes_they_all_have(
    granted: frozenset[str] | None, seen: list[str]
) -> None:
    assert names(await ask(ServerTarget(a_server()), "tools/list", granted=granted)) == seen


async def test_a_list_that_depends_on_scopes_is_private_whoever_asks() -> None:
    target = ServerTarget(a_server())

    for granted in (None, frozenset[str](), frozenset({"notes:read", "notes:write"})):
        listed = await ask(target, "tools/list", granted=granted)
        assert {name: listed[name] for name in ("resultType", "ttlMs", "cacheScope", "_meta")} == {
            "resultType": "complete",
            "ttlMs": 300_000,
            "cacheScope": "private",
            "_meta": WHO,
        }


async def test_a_list_that_is_the_same_for_all_is_public() -> None:
    server = Server("notes")
    server.add_tool(open_tool)

    assert (await ask(ServerTarget(server), "tools/list"))["cacheScope"] == "public"


async def open_tool() -> None:
    """A tool that needs no scope."""


@pytest.mark.parametrize("revision", EARLIER)
async def test_earlier_lists_have_tools_and_nothing_else(revision: Revision) -> None:
    assert set(await ask(ServerTarget(a_server()), "tools/list", revision=revision)) == {"tools"}


async def test_a_list_is_serialised_once_for_callers_who_see_the_same() -> None:
    target = ServerTarget(a_server())
    request = Request(1, "tools/list", {})

    one = await target.answer(request, REVISION_2026_07_28, exchange_of(granted=frozenset({"notes:read"})))
    other = await target.answer(
        request, REVISION_2026_07_28, exchange_of(granted=frozenset({"notes:read", "elsewhere"}))
    )

    assert isinstance(one, orjson.Fragment)
    assert one is other


async def test_a_tool_that_is_added_later_is_listed() -> None:
    server = a_server()
    target = ServerTarget(server)
    await ask(target, "tools/list")

    server.add_tool(open_tool)

    assert names(await ask(target, "tools/list")) == ["add", "read", "write", "open_tool"]


@pytest.mark.parametrize("cursor", ["", "abc", 5])
async def test_a_cursor_that_was_never_given_out_is_refused(cursor: Any) -> None:
    target = ServerTarget(a_server())

    with pytest.raises(InvalidParams):
        await ask(target, "tools/list", {"cursor": cursor})
    assert names(await ask(target, "tools/list", {"cursor": None})) == ["add", "read", "write"]


async def test_a_modern_call_is_answered_with_all_that_a_modern_result_has() -> None:
    result = await ask(ServerTarget(a_server()), "tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}})

    assert result == {
        "resultType": "complete",
        "content": [{"type": "text", "text": "3"}],
        "structuredContent": 3,
        "isError": False,
        "_meta": WHO,
    }


@pytest.mark.parametrize("revision", EARLIER)
async def test_an_earlier_call_is_answered_without_what_its_revision_does_not_know(revision: Revision) -> None:
    params = {"name": "add", "arguments": {"a": 1, "b": 2}}

    result = await ask(ServerTarget(a_server()), "tools/call", params, revision=revision)

    assert result == {"content": [{"type": "text", "text": "3"}], "isError": False}


async def test_a_tool_learns_who_calls_and_what_the_lifespan_opened(principal: Principal) -> None:
    @asynccontextmanager
    async def lifespan(_server: Server) -> AsyncIterator[Mapping[str, Any]]:
        yield {"shelf": "the shelf"}

    target = ServerTarget(a_server(lifespan=lifespan))
    async with target.lifespan():
        result = await ask(target, "tools/call", {"name": "read"}, principal=principal, granted=principal.scopes)

    assert result["content"] == [{"type": "text", "text": "alice reads the shelf"}]


@pytest.mark.parametrize("granted", [frozenset[str](), frozenset({"notes:read"}), frozenset({"notes:write"})])
async def test_a_call_without_every_scope_names_them_all(granted: frozenset[str]) -> None:
    with pytest.raises(InsufficientScope) as caught:
        await ask(ServerTarget(a_server()), "tools/call", {"name": "write"}, granted=granted)

    assert caught.value.scopes == frozenset({"notes:read", "notes:write"})


async def test_scopes_count_for_nothing_where_there_are_no_tokens() -> None:
    result = await ask(ServerTarget(a_server()), "tools/call", {"name": "write"})

    assert result["isError"] is False


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, '"params.name" must be a string.'),
        ({"name": 5}, '"params.name" must be a string.'),
        ({"name": "nope"}, "Unknown tool: nope"),
        ({"name": "nope\n<b>"}, "Unknown tool"),
        ({"name": "n" * 129}, "Unknown tool"),
        ({"name": "add", "arguments": []}, '"params.arguments" must be an object.'),
        ({"name": "add", "arguments": "a"}, '"params.arguments" must be an object.'),
    ],
)
async def test_a_call_of_nothing_is_a_protocol_error(params: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParams) as caught:
        await ask(ServerTarget(a_server()), "tools/call", params)

    assert caught.value.message == message


@pytest.mark.parametrize("revision", [REVISION_2026_07_28, REVISION_2025_11_25])
@pytest.mark.parametrize("arguments", [{"a": 1}, {"a": 1, "b": "x"}, None])
async def test_a_wrong_argument_is_an_error_result_that_names_the_field(
    revision: Revision, arguments: dict[str, Any] | None
) -> None:
    params = {"name": "add", "arguments": arguments}

    result = await ask(ServerTarget(a_server()), "tools/call", params, revision=revision)

    assert result["isError"] is True
    assert "b:" in result["content"][0]["text"]


@pytest.mark.parametrize("revision", [REVISION_2025_06_18, REVISION_2025_03_26])
async def test_a_wrong_argument_was_a_protocol_error_in_earlier_revisions(revision: Revision) -> None:
    with pytest.raises(InvalidParams) as caught:
        await ask(ServerTarget(a_server()), "tools/call", {"name": "add", "arguments": {"a": 1}}, revision=revision)

    assert "b:" in caught.value.message


async def test_notifications_are_taken_and_nothing_is_sent_for_them() -> None:
    target, exchange = ServerTarget(a_server()), AnsweringExchange()

    for method in ("notifications/initialized", "notifications/cancelled", "notifications/unknown"):
        await target.notice(Notification(method, {}), REVISION_2025_11_25, exchange)

    assert (exchange.sent, exchange.requests) == ([], {})
