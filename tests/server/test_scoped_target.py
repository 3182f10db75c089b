"""A function whose tools have scopes by name."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost.protocol.messages import Notification, Request
from gatepost.protocol.versions import REVISION_2025_11_25, REVISION_2026_07_28, Revision
from gatepost.resource.principal import Principal
from gatepost.resource.scope_map import ScopeMap
from gatepost.server.calls.exchange import Exchange
from gatepost.server.errors import InsufficientScope
from gatepost.server.handler_target import HandlerTarget
from gatepost.server.scoped_target import ScopedTarget
from gatepost.server.target import Result

SCOPES = ScopeMap(tools={"read": ["notes:read"], "write": ["notes:write"]}, methods={"raise": ["notes:write"]})
HINTS = {"ttlMs": 1000, "cacheScope": "public"}


class Function:
    """A JSON-RPC function that notes what reached it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, message: dict[str, Any]) -> dict[str, Any] | None:
        self.seen.append(message["method"])
        if message["method"] == "raise":
            raise InsufficientScope("notes:large")
        tools = [{"name": "read", "inputSchema": {}}, {"name": "write", "inputSchema": {}}]
        result: dict[str, Any] = {"tools": tools} if message["method"] == "tools/list" else {"content": []}
        if message["method"] == "resources/read":
            result = {"contents": [], **HINTS}
        return {"jsonrpc": "2.0", "id": message["id"], "result": result} if "id" in message else None


def caller(*scopes: str) -> Exchange:
    return Exchange(
        Principal(
            subject="user_1",
            client_id="client_1",
            scopes=frozenset(scopes),
            resource="https://notes.example/mcp",
            issuer="https://notes.example",
            grant_id=None,
            expires_at=None,
        )
    )


async def ask(
    function: Function,
    exchange: Exchange,
    method: str,
    params: dict[str, Any] | None = None,
    *,
    revision: Revision = REVISION_2025_11_25,
) -> Result:
    target = ScopedTarget(HandlerTarget(function, name="notes"), SCOPES)
    async with target.lifespan():
        return await target.answer(Request(1, method, params or {}), revision, exchange)


async def test_a_list_holds_what_the_caller_may_use() -> None:
    result = await ask(Function(), caller("notes:read"), "tools/list")

    assert result == {"tools": [{"name": "read", "inputSchema": {}}]}


async def test_where_scopes_do_not_count_a_list_is_whole() -> None:
    result = await ask(Function(), Exchange(), "tools/list")

    assert isinstance(result, dict)
    assert [tool["name"] for tool in result["tools"]] == ["read", "write"]


async def test_a_list_that_was_cut_for_one_caller_is_kept_for_nobody_else() -> None:
    result = await ask(Function(), caller("notes:read"), "tools/list", revision=REVISION_2026_07_28)

    assert isinstance(result, dict)
    assert result["cacheScope"] == "private"


@pytest.mark.parametrize(("uri", "expected"), [("note://1", "private"), ("note://open", "public")])
async def test_a_resource_that_needs_a_scope_is_kept_for_nobody_else(uri: str, expected: str) -> None:
    scopes = ScopeMap(resources={"note://1": ["notes:read"], "note://open": []})
    target = ScopedTarget(HandlerTarget(Function(), name="notes"), scopes)
    request = Request(1, "resources/read", {"uri": uri})

    for exchange in (caller("notes:read"), Exchange()):
        result = await target.answer(request, REVISION_2026_07_28, exchange)
        assert isinstance(result, dict)
        assert (result["cacheScope"], result["ttlMs"]) == (expected, 1000)


async def test_a_call_without_the_scope_does_not_reach_the_function() -> None:
    function = Function()

    with pytest.raises(InsufficientScope) as refusal:
        await ask(function, caller("notes:read"), "tools/call", {"name": "write"})

    assert refusal.value.scopes == {"notes:write"}
    assert function.seen == []


async def test_a_call_with_the_scope_reaches_the_function() -> None:
    function = Function()

    assert await ask(function, caller("notes:write"), "tools/call", {"name": "write"}) == {"content": []}
    assert function.seen == ["tools/call"]


async def test_what_the_function_asks_for_itself_is_named_beside() -> None:
    with pytest.raises(InsufficientScope) as refusal:
        await ask(Function(), caller("notes:write"), "raise")

    assert refusal.value.scopes == {"notes:write", "notes:large"}


async def test_a_notification_without_the_scope_is_dropped() -> None:
    function = Function()
    target = ScopedTarget(HandlerTarget(function, name="notes"), SCOPES)

    for method, exchange in (
        ("notifications/cancelled", caller()),
        ("notes/changed", caller("notes:read")),
        ("notes/changed", caller("notes:read", "notes:write")),
        ("notes/changed", Exchange()),
    ):
        await target.notice(Notification(method, {}), REVISION_2025_11_25, exchange)
    await target.drain()

    assert function.seen == ["notifications/cancelled", "notes/changed", "notes/changed"]
